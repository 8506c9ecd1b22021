import type {
  Backend,
  Family,
  Firewall,
  FirewallPolicy,
  FirewallRule,
  Hook,
} from '../../checks/firewall.ts';
import type { Sampled } from '../../src/model/check.ts';
import { rise } from '../../src/model/counter.ts';
import { EtherType, type DropCapture } from '../../src/model/drops.ts';
import { placeOf, type Place } from './match/places.ts';

/** A rule or a chain policy that refuses packets: drops them, or rejects them with an answer. */
export interface Refuser {
  readonly entry: FirewallRule | FirewallPolicy;
  readonly hooks: readonly Hook[];
}

export interface CountedRefuser extends Refuser {
  /** Packets it refused in the window. */
  readonly packets: number;
  readonly first: bigint;
  readonly last: bigint;
}

/** One that may have refused packets in the window, but no counter says how many. */
export interface UncountedRefuser extends Refuser {
  readonly because: 'not counted' | 'new' | 'counter reset';
}

export interface Refusals {
  /** Those that refused at least one packet, most first. */
  readonly counted: readonly CountedRefuser[];
  readonly uncounted: readonly UncountedRefuser[];
}

export function refusalsOf({ first, last }: Sampled<Firewall>): Refusals {
  const counted: CountedRefuser[] = [];
  const uncounted: UncountedRefuser[] = [];
  for (const refuser of refusers(last)) {
    const { key, packets } = refuser.entry;
    const earlier = first.packets.get(key);
    if (packets === null) {
      // Its counter may stand before its last condition.
      const isUntouched = last.matching?.untouched.has(key) === true;
      if (!isUntouched) uncounted.push({ ...refuser, because: 'not counted' });
    } else if (earlier === undefined) uncounted.push({ ...refuser, because: 'new' });
    else if (packets < earlier) uncounted.push({ ...refuser, because: 'counter reset' });
    else if (packets > earlier) {
      counted.push({ ...refuser, packets: rise(earlier, packets), first: earlier, last: packets });
    }
  }
  return { counted: counted.sort((a, b) => b.packets - a.packets), uncounted };
}

function* refusers({ rules, policies }: Firewall): Iterable<Refuser> {
  for (const entry of rules) {
    const refuses = entry.verdict === 'drop' || entry.verdict === 'reject';
    if (refuses && entry.hooks.length > 0) yield { entry, hooks: entry.hooks };
  }
  for (const entry of policies) {
    if (entry.policy === 'drop') yield { entry, hooks: [entry.hook] };
  }
}

/** Where it meets packets. */
export function placesOf({ entry, hooks }: Refuser): readonly Place[] {
  return hooks.map((hook) => placeOf(entry, hook));
}

/** Of a bridge or a device: it meets frames before, or apart from, the IP layer. */
export function isOfBridge({ entry }: Pick<Refuser, 'entry'>): boolean {
  return entry.family === 'bridge' || entry.family === 'netdev';
}

/** `inet filter input: udp dport 5000 counter drop`; an iptables line names its chain itself. */
export function nameOf(entry: FirewallRule | FirewallPolicy): string {
  return entry.tool === 'nft'
    ? `${entry.family} ${entry.table} ${entry.chain}: ${entry.text}`
    : `${entry.tool} -t ${entry.table} ${entry.text}`;
}

export function sourceOf({ tool }: FirewallRule | FirewallPolicy): string {
  return tool === 'nft' ? 'nft -a list ruleset' : `${tool}-save -c`;
}

/** EtherTypes of the packets it can see. Empty: any. */
export function protocolsOf({ entry }: Refuser): readonly number[] {
  return protocolsOfFamily(entry.family) ?? protocolsOfMatch(entry.text);
}

function protocolsOfFamily(family: Family): readonly number[] | undefined {
  switch (family) {
    case 'ip':
      return [EtherType.IPv4];
    case 'ip6':
      return [EtherType.IPv6];
    case 'arp':
      return [EtherType.ARP];
    case 'inet':
    case 'bridge':
    case 'netdev':
      return undefined;
  }
}

/** Of a rule for all: `ip saddr …` can match IPv4 only. */
function protocolsOfMatch(text: string): readonly number[] {
  const match = text.replace(/ comment ".*"$/, '').replaceAll(/ != \S+/g, '');
  if (/(^| )arp( |$)/.test(match)) return [EtherType.ARP];
  if (/(^| )(ip6|icmpv6|meta nfproto ipv6|meta protocol ip6)( |$)/.test(match)) {
    return [EtherType.IPv6];
  }
  return /(^| )(ip|icmp|meta nfproto ipv4|meta protocol ip)( |$)/.test(match)
    ? [EtherType.IPv4]
    : [];
}

/** Where ip_tables, conntrack and NAT drop (net/netfilter/core.c). */
export const HOOK_LOCATION = 'nf_hook_slow';
/** Where nf_tables drops on current kernels (6.18, and Debian's 6.1), rule and policy alike. */
const NFT_LOCATION = 'nft_do_chain';

export interface DropSite {
  readonly location: string;
  readonly backends: readonly Backend[];
}

/**
 * Functions that free the refused packets, and whose rules they carry out. Older kernels have one for
 * all. Which kind of kernel it is shows in the events: only they were made by it.
 */
export function dropSites(capture: DropCapture | undefined): readonly DropSite[] {
  return capture?.drops.some(({ location }) => location === NFT_LOCATION)
    ? [
        { location: NFT_LOCATION, backends: ['nftables', 'iptables-nft'] },
        { location: HOOK_LOCATION, backends: ['iptables-legacy'] },
      ]
    : [{ location: HOOK_LOCATION, backends: ['nftables', 'iptables-nft', 'iptables-legacy'] }];
}

/** Null: this kernel gives no reasons, and the location alone must do. */
export function dropReason(capture: DropCapture | undefined): 'NETFILTER_DROP' | null {
  return capture?.hasReasons === false ? null : 'NETFILTER_DROP';
}
