/** How many to offer. */
const MOST = 3;

/** Known names that somebody may have meant: part of one another, or a few letters apart. The nearest first. */
export function nearest(name: string, known: Iterable<string>): readonly string[] {
  const wanted = name.toLowerCase();
  return [...new Set(known)]
    .map((text) => {
      const other = text.toLowerCase();
      const isPart = wanted.length > 2 && (other.includes(wanted) || wanted.includes(other));
      return { text, isPart, distance: editDistance(wanted, other) };
    })
    .filter(({ isPart, distance }) => isPart || distance <= wanted.length / 4)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, MOST)
    .map(({ text }) => text);
}

/** Letters to insert, delete or replace (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let index = 0; index < a.length; index += 1) {
    const next = [index + 1];
    for (let column = 0; column < b.length; column += 1) {
      const replaced = (row[column] ?? 0) + (a[index] === b[column] ? 0 : 1);
      next.push(Math.min(replaced, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
