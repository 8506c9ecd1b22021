/** Keys whose value is a CPU mask: the kernel prints it padded, with a comma every 32 bits (%*pb). */
const cpuMask = /_(?:bitmap|mask)$/;

/** Whether two texts are one value: `4096\t131072\t6291456\n` is `4096 131072 6291456`. */
export function sameValue(key: string, one: string, other: string): boolean {
  return canonical(key, one) === canonical(key, other);
}

/** A value on one line, as an administrator would type it. */
export function oneLine(text: string): string {
  return text.trim().split(/\s+/).join(' ');
}

function canonical(key: string, text: string): string {
  const words = oneLine(text);
  if (!cpuMask.test(key)) return words;
  return words
    .toLowerCase()
    .replaceAll(',', '')
    .replace(/^0+(?=.)/, '');
}
