import { isList, textIn, type JsonObject } from './json.ts';
import { chainKey } from './nftables.ts';
import type { NftSet } from './ruleset.ts';
import { elementsOf } from './statements.ts';

/**
 * Sets of `nft -j list sets`, by `family table name`. One whose elements have a shape we do not know is
 * left out.
 * @param written those that rules write to: nft 1.0.6 does not list the flag `dynamic` in JSON
 */
export function setsOf(
  sets: readonly JsonObject[],
  written: ReadonlySet<string>,
): ReadonlyMap<string, NftSet> {
  const found = new Map<string, NftSet>();
  for (const set of sets) {
    const key = chainKey(set, textIn(set, 'name'));
    const elements = elementsOf(isList(set.elem) ? set.elem : []);
    const flags = isList(set.flags) ? set.flags : [];
    const changing =
      written.has(key) || flags.some((flag) => flag === 'timeout' || flag === 'dynamic');
    if (elements !== undefined) found.set(key, { elements, changing });
  }
  return found;
}
