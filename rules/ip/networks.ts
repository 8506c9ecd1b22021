/** Whether an address is in a network as ip(8) writes it: `10.0.0.0/8`, `2001:db8::1`, `default`. */
export function inNetwork(address: string, network: string): boolean {
  if (network === 'default') return true;
  const [base = '', bits] = network.split('/');
  const [a, b] = [bitsOf(address), bitsOf(base)];
  if (a === undefined || b === undefined || a.length !== b.length) return false;
  const length = bits === undefined ? b.length : Number(bits);
  return a.slice(0, length) === b.slice(0, length);
}

/** 32 or 128 characters, 0 and 1. Undefined: no IP address. */
function bitsOf(address: string): string | undefined {
  const ipv4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(address);
  if (ipv4 !== null)
    return ipv4
      .slice(1)
      .map((byte) => toBits(Number(byte), 8))
      .join('');
  const [head = '', tail, ...more] = address.split('::');
  if (!/^[0-9a-f:]+$/i.test(address) || more.length > 0) return undefined;
  const groups = (text = ''): readonly string[] => (text === '' ? [] : text.split(':'));
  const [left, right] = [groups(head), groups(tail)];
  const missing = 8 - left.length - right.length;
  if (tail === undefined ? missing !== 0 : missing < 0) return undefined;
  return [...left, ...Array.from({ length: missing }, () => '0'), ...right]
    .map((group) => toBits(Number.parseInt(group, 16), 16))
    .join('');
}

function toBits(value: number, width: number): string {
  return value.toString(2).padStart(width, '0');
}
