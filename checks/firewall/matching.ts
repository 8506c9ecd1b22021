import type { Host } from '../../src/model/host.ts';
import { ok, type Reading } from '../../src/model/reading.ts';
import { readLocalAddresses } from './local-addresses.ts';
import { statementsByRule, type NftListing } from './nftables.ts';
import type { Matching, PacketCounts, RuleKeys, Tables } from './ruleset.ts';
import { setsOf } from './sets.ts';

/** What rules do and refer to. What became of them in the window, the last reading knows. */
export type Matchable = Omit<Matching, 'added' | 'untouched'>;

/** Some refuse, and do not count. */
export function refusesUncounted({ rules, policies }: Tables): boolean {
  return (
    policies.some(({ policy, packets }) => packets === null && policy === 'drop') ||
    rules.some(
      ({ verdict, packets }) => packets === null && (verdict === 'drop' || verdict === 'reject'),
    )
  );
}

/** @param listSets the sets of the namespace, with their elements */
export async function readMatchable(
  host: Host,
  listing: NftListing,
  listSets: () => Promise<Reading<NftListing>>,
): Promise<{ readonly value: Matchable; readonly notes: readonly string[] }> {
  const { rules } = listing;
  const hasElements = listing.sets.some(({ elem }) => elem !== undefined);
  const written = new Set(rules.flatMap(({ writtenSets }) => writtenSets));
  const [statements, sets, addresses] = await Promise.all([
    statementsByRule(listing),
    rules.some(({ namesSet }) => namesSet) && !hasElements ? listSets() : ok(listing),
    readLocalAddresses(host),
  ]);
  return {
    value: {
      statements,
      sets: sets.status === 'ok' ? setsOf(sets.value.sets, written) : new Map(),
      ...(addresses.status === 'ok' && { addresses: addresses.value }),
    },
    notes: [
      ...(sets.status === 'ok' ? [] : [`Sets: ${sets.reason}`]),
      ...(addresses.status === 'ok' ? [] : [`Local addresses: ${addresses.reason}`]),
    ],
  };
}

/** When the window began. */
export interface RulesBefore {
  /** The rules that were there. */
  readonly known: RuleKeys;
  /** What they had counted. */
  readonly packets: PacketCounts;
}

/** @param packets what rules have counted by now */
export function matchingOf(
  matchable: Matchable,
  before: RulesBefore,
  packets: PacketCounts,
): Matching {
  return {
    ...matchable,
    added: { has: (key) => !before.known.has(key) },
    untouched: {
      has(key) {
        const count = packets.get(key);
        return count !== undefined && count === before.packets.get(key);
      },
    },
  };
}
