/**
 * Tables of /proc/net/stat: a line of names, then a line of hexadecimal values for each CPU.
 *
 * @returns sums over the CPUs; lines that do not fit the header are left out. Undefined: no header
 */
export function parseStatTable(text: string): ReadonlyMap<string, bigint> | undefined {
  const [header = '', ...rows] = text.split('\n').filter((line) => line.trim() !== '');
  const names = header.trim().split(/\s+/);
  if (names.length < 2 || !names.every((name) => /^[a-z]\w*$/i.test(name))) return undefined;
  const sums = new Map<string, bigint>();
  for (const row of rows) {
    const values = row.trim().split(/\s+/);
    if (!values.every((value) => /^[0-9a-f]{1,16}$/i.test(value))) continue;
    if (values.length !== names.length) continue;
    for (const [index, name] of names.entries()) {
      const value = BigInt(`0x${values[index]}`);
      // The size of the table is the same level on each line, not a counter of the CPU.
      sums.set(name, name === 'entries' ? value : (sums.get(name) ?? 0n) + value);
    }
  }
  return sums;
}
