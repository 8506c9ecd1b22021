import type {
  Family,
  Firewall,
  FirewallPolicy,
  FirewallRule,
  Matching,
  Statement,
  Way,
} from '../../../checks/firewall.ts';
import { EtherType } from '../../../src/model/drops.ts';
import { isNamed } from './fields.ts';
import type { Packet, PacketAtHook } from './packet.ts';
import { isOfIp, placeOf, PLACES, type Place } from './places.ts';
import { nameInTable, outcomeOf, workOf, type SetOf } from './statements.ts';
import { some, type Truth } from './truth.ts';

/** A rule or policy that may have refused a packet. */
export interface Candidate {
  readonly entry: FirewallRule | FirewallPolicy;
  readonly place: Place;
  /** What the capture does not tell, in the rule and on the way to it. Empty: it refuses what comes to it. */
  readonly undecided: readonly Statement[];
}

/** The rules and policies that may have refused a packet in one of these places. Undefined: too much work by now. */
export type Walker = (packet: Packet, places: readonly Place[]) => readonly Candidate[] | undefined;

/** Statements and elements looked at in one report: half a second of work, or so. */
const STEPS = 2_000_000;
/** NFT_JUMP_STACK_SIZE: the kernel takes no ruleset that is deeper. */
const DEEPEST_JUMP = 16;

/**
 * Sends packets through the rules of nftables as nft_do_chain does (net/netfilter/nf_tables_core.c). Where the
 * capture does not tell whether a rule matches, they go both ways; where a rule's counter stood still, past it.
 * Undefined: the rules were not read for that.
 */
export function walkerOf(
  { rules, policies, matching }: Firewall,
  steps = STEPS,
): Walker | undefined {
  if (matching === undefined) return undefined;
  const ruleset = new Ruleset(rules, matching, steps);
  const bases = policies
    .filter(({ backend }) => backend === 'nftables')
    .sort((a, b) => orderOf(a) - orderOf(b) || priorityOf(a) - priorityOf(b));
  const translates = policies.some((chain) => chain.translates === true || chain.table === 'nat');

  return (packet, places) => {
    const found = new Map<string, Candidate>();
    const refusing: FirewallPolicy[] = [];
    for (const base of bases) {
      const meets = places.includes(placeOf(base, base.hook)) ? sees(base, packet) : 'no';
      if (meets === 'no' || refusing.some((earlier) => isBefore(earlier, base, translates))) {
        continue;
      }
      const walk = new Walk(ruleset, packetAt(base, packet), found);
      const undecided = meets === 'yes' ? [] : [boundTo(base)];
      if (walk.refusesForSure(base, undecided)) refusing.push(base);
    }
    return ruleset.stepsLeft < 0 ? undefined : [...found.values()];
  };
}

/** NF_IP_PRI_CONNTRACK, at the hooks where packets come from outside and from programs. */
const TRACKING = -200;

/** Before connection tracking has seen it, every packet is invalid (nft_ct_get_eval), except on the loopback. */
function packetAt(base: FirewallPolicy, packet: Packet): PacketAtHook {
  const { hook, priority = 0 } = base;
  const place = placeOf(base, hook);
  const isTracked =
    isOfIp(place) && (priority > TRACKING || (hook !== 'prerouting' && hook !== 'output'));
  const ctStates = isTracked ? packet.ctStates : new Set([...packet.ctStates, 'invalid']);
  return { ...packet, ctStates, place };
}

function orderOf(base: FirewallPolicy): number {
  return PLACES.indexOf(placeOf(base, base.hook));
}

function priorityOf({ priority }: FirewallPolicy): number {
  return priority ?? 0;
}

/** Whether packets of that kind and device come to a base chain. */
function sees({ family, hook, devices }: FirewallPolicy, packet: Packet): Truth {
  if (!seesType(family, packet.etherType)) return 'no';
  if (hook !== 'ingress' && hook !== 'egress') return 'yes';
  const { interface: name } = packet;
  if (name === undefined || devices === undefined) return 'unknown';
  return some(devices, (device) => isNamed(name, device));
}

function boundTo({ devices }: FirewallPolicy): Statement {
  return { kind: 'undecidable', text: `device ${devices?.join(', ') ?? 'of the chain'}` };
}

function seesType(family: Family, etherType: number): boolean {
  switch (family) {
    case 'ip':
      return etherType === EtherType.IPv4;
    case 'ip6':
      return etherType === EtherType.IPv6;
    case 'inet':
      return etherType === EtherType.IPv4 || etherType === EtherType.IPv6;
    case 'arp':
      return etherType === EtherType.ARP;
    case 'netdev':
    case 'bridge':
      return true;
  }
}

/** NF_IP_PRI_NAT_DST and NF_IP_PRI_NAT_SRC: where addresses change, in whatever chain the rule is. */
const TRANSLATION = [-100, 100];

/** Where packets still have the device by which they came. */
const BEHIND_INGRESS = /^(bridge prerouting|arp input|prerouting|input|forward)$/;

/** What one refuses the other cannot have refused: it comes later, and sees the same addresses and device. */
function isBefore(one: FirewallPolicy, other: FirewallPolicy, translates: boolean): boolean {
  const [a, b] = [priorityOf(one), priorityOf(other)];
  const [before, behind] = [placeOf(one, one.hook), placeOf(other, other.hook)];
  if (before !== behind) {
    if (translates) return false;
    return before === 'ingress'
      ? BEHIND_INGRESS.test(behind)
      : before === 'prerouting' && /^(input|forward)$/.test(behind);
  }
  return a < b && !(translates && TRANSLATION.some((between) => a < between && between <= b));
}

interface Chain {
  /** Those that packets may have taken in the window, in order. */
  readonly rules: WalkedRule[];
  readonly setOf: SetOf;
}

interface WalkedRule {
  readonly rule: FirewallRule;
  readonly statements: readonly Statement[];
  /** It was not there when the window began. */
  readonly isNew: boolean;
}

class Ruleset {
  stepsLeft: number;
  readonly #chains = new Map<string, Chain>();

  constructor(rules: readonly FirewallRule[], matching: Matching, steps: number) {
    const { statements, sets, added, untouched } = matching;
    this.stepsLeft = steps;
    for (const rule of rules) {
      if (untouched.has(rule.key)) continue;
      const key = nameInTable(rule, rule.chain);
      const setOf = (name: string) => sets.get(nameInTable(rule, name));
      const chain = this.#chains.get(key) ?? { rules: [], setOf };
      const isNew = added.has(rule.key);
      chain.rules.push({ rule, statements: statements.get(rule.key) ?? [], isNew });
      this.#chains.set(key, chain);
    }
  }

  chain(key: string): Chain | undefined {
    return this.#chains.get(key);
  }
}

/** It may have been one of the packets before the rule was there. */
const CAME_LATE: Statement = { kind: 'undecidable', text: 'it came while measuring' };

/** What becomes of a packet behind a rule: `ends`: nothing in this base chain; `leaves` the chain; or goes `on`. */
type Next = 'ends' | 'leaves' | 'on';

/** The way of one packet through one base chain. */
class Walk {
  readonly #ruleset: Ruleset;
  readonly #packet: PacketAtHook;
  readonly #found: Map<string, Candidate>;
  /** It may have got through. */
  #accepted = false;

  constructor(ruleset: Ruleset, packet: PacketAtHook, found: Map<string, Candidate>) {
    this.#ruleset = ruleset;
    this.#packet = packet;
    this.#found = found;
  }

  /** @param undecided what it takes to come to the chain */
  refusesForSure(base: FirewallPolicy, undecided: readonly Statement[]): boolean {
    if (this.#chain(nameInTable(base, base.chain), undecided, 0) !== 'ends') {
      if (base.policy === 'drop') this.#refuse(base, undecided);
      else this.#accepted = true;
    }
    return !this.#accepted && undecided.length === 0;
  }

  /** @param undecided what it takes to get there */
  #chain(key: string, undecided: readonly Statement[], depth: number): 'ends' | 'on' {
    const chain = depth > DEEPEST_JUMP ? undefined : this.#ruleset.chain(key);
    if (chain === undefined) return 'on';
    for (const rule of chain.rules) {
      if (this.#ruleset.stepsLeft < 0) return 'on';
      const next = this.#rule(rule, chain.setOf, undecided, depth);
      if (next === 'ends') return 'ends';
      if (next === 'leaves') return 'on';
    }
    return 'on';
  }

  #rule(
    { rule, statements, isNew }: WalkedRule,
    setOf: SetOf,
    undecided: readonly Statement[],
    depth: number,
  ): Next {
    const open: Statement[] = isNew ? [CAME_LATE] : [];
    for (const statement of statements) {
      this.#ruleset.stepsLeft -= workOf(statement, setOf);
      const { passes, ways } = outcomeOf(statement, this.#packet, setOf);
      const next = ways.map(({ way, truth }) => {
        const ofWay = truth === 'yes' ? open : [...open, statement];
        return this.#follow(way, rule, undecided, ofWay, depth);
      });
      if (passes === 'no') return next.length === 1 ? (next[0] ?? 'on') : 'on';
      if (passes === 'unknown') open.push(statement);
    }
    // It may end in a verdict we do not know.
    if (open.length > 0) this.#accepted = true;
    return 'on';
  }

  /** @param open what is undecided of the rule itself */
  #follow(
    way: Way,
    rule: FirewallRule,
    undecided: readonly Statement[],
    open: readonly Statement[],
    depth: number,
  ): Next {
    const isSure = open.length === 0;
    switch (way.to) {
      case 'drop':
        this.#refuse(rule, [...undecided, ...open]);
        return isSure ? 'ends' : 'on';
      case 'accept':
        this.#accepted = true;
        return isSure ? 'ends' : 'on';
      case 'return':
        return isSure ? 'leaves' : 'on';
      case 'continue':
        return 'on';
      case 'jump':
      case 'goto': {
        const next = this.#chain(nameInTable(rule, way.chain), [...undecided, ...open], depth + 1);
        if (!isSure) return 'on';
        return next === 'on' && way.to === 'goto' ? 'leaves' : next;
      }
    }
  }

  #refuse(entry: FirewallRule | FirewallPolicy, undecided: readonly Statement[]): void {
    const { place } = this.#packet;
    const key = `${place} ${entry.key}`;
    const known = this.#found.get(key);
    if (known === undefined || undecided.length < known.undecided.length) {
      this.#found.set(key, { entry, place, undecided });
    }
  }
}
