import { isList, isObject, single, textIn, type Json, type JsonObject } from './json.ts';
import { chainKey, statementsOf, type NftListing } from './nftables.ts';
import type { NftSet } from './ruleset.ts';
import { elementsOf } from './statements.ts';

/**
 * Sets of `nft -j list sets`, by `family table name`. One whose elements have a shape we do not know is
 * left out.
 */
export function setsOf(sets: readonly JsonObject[], listing: NftListing): Map<string, NftSet> {
  const updated = updatedSets(listing);
  const found = new Map<string, NftSet>();
  for (const set of sets) {
    const key = chainKey(set, textIn(set, 'name'));
    const elements = elementsOf(isList(set.elem) ? set.elem : []);
    const flags = isList(set.flags) ? set.flags : [];
    const changing =
      updated.has(key) || flags.some((flag) => flag === 'timeout' || flag === 'dynamic');
    if (elements !== undefined) found.set(key, { elements, changing });
  }
  return found;
}

/** Sets that rules write to. nft 1.0.6 does not list the flag `dynamic` in JSON. */
function updatedSets(listing: NftListing): ReadonlySet<string> {
  return new Set(
    listing.rules.flatMap((rule) =>
      statementsOf(rule).flatMap((statement) => {
        const name = updatedBy(statement);
        return name === undefined ? [] : [chainKey(rule, name.replace(/^@/, ''))];
      }),
    ),
  );
}

/** `{ "set": { "op": "add", "elem": …, "set": "@name" } }` */
function updatedBy(statement: Json): string | undefined {
  const [name, body] = single(statement) ?? [];
  return name === 'set' && isObject(body) ? textIn(body, 'set') : undefined;
}
