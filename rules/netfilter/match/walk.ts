import type {
  Family,
  Firewall,
  FirewallPolicy,
  FirewallRule,
  Hook,
  Matching,
  Statement,
  Way,
} from '../../../checks/firewall.ts';
import { EtherType } from '../../../src/model/drops.ts';
import type { Packet, PacketAtHook } from './packet.ts';
import { nameInTable, outcomeOf, workOf, type SetOf } from './statements.ts';

/** A rule or policy that may have refused a packet. */
export interface Candidate {
  readonly entry: FirewallRule | FirewallPolicy;
  /** What the capture does not tell, in the rule and on the way to it. Empty: it refuses what comes to it. */
  readonly undecided: readonly Statement[];
}

/** The rules and policies that may have refused a packet at one of these hooks. Undefined: too much work by now. */
export type Walker = (packet: Packet, hooks: readonly Hook[]) => readonly Candidate[] | undefined;

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
    .sort((a, b) => HOOKS.indexOf(a.hook) - HOOKS.indexOf(b.hook) || priorityOf(a) - priorityOf(b));
  const translates = policies.some((chain) => chain.translates === true || chain.table === 'nat');

  return (packet, hooks) => {
    const found = new Map<string, Candidate>();
    const refusing: FirewallPolicy[] = [];
    for (const base of bases) {
      const isMet = hooks.includes(base.hook) && sees(base.family, packet);
      if (!isMet || refusing.some((earlier) => isBefore(earlier, base, translates))) continue;
      const walk = new Walk(ruleset, packetAt(base, packet), found);
      if (walk.refusesForSure(base)) refusing.push(base);
    }
    return ruleset.stepsLeft < 0 ? undefined : [...found.values()];
  };
}

/** NF_IP_PRI_CONNTRACK, at the hooks where packets come from outside and from programs. */
const TRACKING = -200;

/** Before connection tracking has seen it, every packet is invalid (nft_ct_get_eval), except on the loopback. */
function packetAt({ hook, priority = 0 }: FirewallPolicy, packet: Packet): PacketAtHook {
  const isTracked = priority > TRACKING || (hook !== 'prerouting' && hook !== 'output');
  const ctStates = isTracked ? packet.ctStates : new Set([...packet.ctStates, 'invalid']);
  return { ...packet, ctStates, hook };
}

/** In the order in which a packet meets them. */
const HOOKS: readonly Hook[] = [
  'ingress',
  'prerouting',
  'input',
  'forward',
  'output',
  'postrouting',
  'egress',
];

function priorityOf({ priority }: FirewallPolicy): number {
  return priority ?? 0;
}

function sees(family: Family, { etherType }: Packet): boolean {
  const isIp = etherType === EtherType.IPv4 || etherType === EtherType.IPv6;
  switch (family) {
    case 'ip':
      return etherType === EtherType.IPv4;
    case 'ip6':
      return etherType === EtherType.IPv6;
    case 'inet':
      return isIp;
    case 'netdev':
      return true;
    case 'arp':
    case 'bridge':
      return false;
  }
}

/** NF_IP_PRI_NAT_DST and NF_IP_PRI_NAT_SRC: where addresses change, in whatever chain the rule is. */
const TRANSLATION = [-100, 100];

/** What one refuses the other cannot have refused: it comes later, and sees the same addresses. */
function isBefore(one: FirewallPolicy, other: FirewallPolicy, translates: boolean): boolean {
  const [a, b] = [priorityOf(one), priorityOf(other)];
  if (one.hook !== other.hook) {
    return !translates && one.hook === 'prerouting' && /^(input|forward)$/.test(other.hook);
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

  refusesForSure(base: FirewallPolicy): boolean {
    if (this.#chain(nameInTable(base, base.chain), [], 0) !== 'ends') {
      if (base.policy === 'drop') this.#refuse(base, []);
      else this.#accepted = true;
    }
    return !this.#accepted;
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
    const known = this.#found.get(entry.key);
    if (known === undefined || undecided.length < known.undecided.length) {
      this.#found.set(entry.key, { entry, undecided });
    }
  }
}
