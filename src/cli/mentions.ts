import type { AnyRule } from '../model/rule.ts';

/** More than a screen is no help. */
const MOST = 12;

/**
 * Causes that speak of something that has no page of its own: a setting (`rp_filter`), a line of the kernel's log, a
 * word. Those first that have it in their id or title, then in what the administrator sees.
 */
export function causesMentioning(words: string, rules: readonly AnyRule[]): readonly AnyRule[] {
  const wanted = plainWords(words);
  if (wanted.trim() === '') return [];
  const glued = wanted.replaceAll(' ', '');
  const placeIn = ({ id, title, explain }: AnyRule): number => {
    if (id.replaceAll('-', '').includes(glued)) return 0;
    const { see, kernel, confirm, fix, normal } = explain;
    const texts = [title, see, [kernel, confirm, fix, normal].join(' ')];
    return texts.findIndex((text) => plainWords(text).includes(wanted));
  };
  return rules
    .map((rule) => ({ rule, place: placeIn(rule) }))
    .filter(({ place }) => place !== -1)
    .sort((a, b) => a.place - b.place)
    .slice(0, MOST)
    .map(({ rule }) => rule);
}

/** `net.core.rmem_max` and `net/core/rmem_max` are the same words; each between spaces. */
function plainWords(text: string): string {
  return ` ${(text.toLowerCase().match(/[a-z0-9]+/g) ?? []).join(' ')} `;
}
