import conntrack, { type Conntrack } from '../../checks/conntrack.ts';
import drops from '../../checks/drops.ts';
import firewall, {
  type Firewall,
  type FirewallPolicy,
  type FirewallRule,
  type Matching,
  type Statement,
} from '../../checks/firewall.ts';
import link from '../../checks/link.ts';
import snmp, { type Snmp } from '../../checks/snmp.ts';
import sysctl from '../../checks/sysctl.ts';
import type { Sampled } from '../../src/model/check.ts';
import { rise } from '../../src/model/counter.ts';
import { describeFlow } from '../../src/model/describe-flow.ts';
import { countDrops, packetsOf, type DropCapture, type DropFlow } from '../../src/model/drops.ts';
import {
  defineRule,
  type CauseFinding,
  type Claim,
  type JudgeWindow,
  type Observation,
} from '../../src/model/rule.ts';
import { policySeverity } from '../protocol-counters.ts';
import { acceptFix } from './accept-fix.ts';
import { bridgedRefusals, withoutBridged } from './bridged.ts';
import { conntrackRise } from './conntrack-rise.ts';
import { conditionsMet, conditionText } from './match/condition-text.ts';
import type { Flow } from './match/flows.ts';
import { isOfIp } from './match/places.ts';
import type { Suspect } from './match/suspects.ts';
import { isScan } from './port-scan.ts';
import {
  dropReason,
  dropSites,
  nameOf,
  placesOf,
  protocolsOf,
  refusalsOf,
  sourceOf,
  type CountedRefuser,
  type Refuser,
  type UncountedRefuser,
} from './refusals.ts';
import { deduceUncounted, type Deduction } from './uncounted.ts';

/** Rules that get a finding of their own; what all others refused is one more. */
const NAMED_RULES = 10;
/** Suspects without a counter that a finding names. */
const NAMED_SUSPECTS = 4;
/** Expressions of a rule that are named because they could not be decided. */
const NAMED_EXPRESSIONS = 3;

export default defineRule({
  id: 'nf-rule-drop',
  title: 'A firewall rule or policy drops packets',
  needs: { firewall },
  wants: { drops, conntrack, snmp, link, sysctl },
  reviewed: '2026-11-22',
  explain: {
    see: 'Connections to a port time out (drop) or are refused at once (reject). On the host itself a program that sends gets EPERM ("Operation not permitted") when the rule is on the way out.',
    kernel:
      'Rules of nftables and iptables-nft drop in `nft_do_chain` (on older kernels, and for iptables-legacy, in `nf_hook_slow`), with the reason `NETFILTER_DROP` for a rule, a reject and a chain policy alike. Conntrack and NAT failures use the same reason at `nf_hook_slow`, so the reason alone proves no rule; the counter of a rule does. Chain policies of nftables and rules without `counter` count nothing: they are deduced from drops that nothing else accounts for, as far as the IP counters of this namespace miss packets. Rules of a device (ingress, egress), a bridge or ARP drop in the same function, and no counter tells: they are deduced from drops that are known to be of this namespace. Which one it was, the BPF capture tells: its flows are matched against the rules (addresses, ports, interfaces, ARP, VLAN, sets, maps), as far as a flow can answer them; connection state, limits, marks and the MAC addresses of IP packets it cannot.',
    confirm:
      '`nft list ruleset` or `iptables-save -c` twice, and look which counter moved. For a rule without one: `nft insert rule … meta nftrace set 1`, then `nft monitor trace`.',
    fix: 'If the traffic is wanted, accept it in a rule before the one that drops, with the tool that owns the ruleset (ufw, firewalld, Docker …). It opens the firewall for what it matches. whydrop never changes a firewall.',
    normal:
      'Refusing unwanted packets is what a firewall is for. A slow, steady trickle is the background noise of the Internet, and packets for one port after the other are a port scan.',
    references: [
      'net/netfilter/nf_tables_core.c nft_do_chain (Linux 6.18)',
      'net/netfilter/core.c nf_hook_slow (Linux 6.18)',
      'nft(8), iptables-extensions(8), libnftables-json(5)',
    ],
  },
  judge({ firewall, drops, conntrack, snmp, link, sysctl }, window) {
    const refusals = refusalsOf(firewall);
    const context: Context = { drops, conntrack, snmp, window };
    const bridged = bridgedRefusals(refusals, { link, sysctl, drops, snmp });
    const routed = withoutBridged(refusals, bridged.packets).counted;
    const named = routed.slice(0, NAMED_RULES);
    const others = routed.slice(NAMED_RULES);
    const deduced =
      drops === undefined || snmp === undefined
        ? []
        : deduceUncounted(
            refusals,
            { firewall: firewall.last, routed, drops, snmp, conntrack, link, sysctl },
            window,
          );
    // Of several that count, nothing tells whose each flow is.
    const flows = routed.length === 1 ? otherFlows(drops, deduced) : {};
    return [
      ...named.map((refuser) => ({ ...countedFinding(refuser, context), ...flows })),
      ...(others.length === 0 ? [] : [{ ...othersFinding(others, context), ...flows }]),
      ...deduced.map((deduction) => deducedFinding(deduction, firewall, context)),
    ];
  },
});

/** Whom the rule that counts refused: not those that were laid at the door of one that does not. */
function otherFlows(
  drops: DropCapture | undefined,
  deduced: readonly Deduction[],
): Pick<CauseFinding, 'flows'> {
  const taken = new Set(deduced.flatMap(({ flows }) => flows ?? []).map(({ flow }) => flow));
  if (drops === undefined || taken.size === 0) return {};
  const all = drops.drops.flatMap(({ details }) => details?.topFlows ?? []);
  return { flows: all.filter((flow) => !taken.has(flow)) };
}

interface Context {
  readonly drops: DropCapture | undefined;
  readonly conntrack: Sampled<Conntrack> | undefined;
  readonly snmp: Sampled<Snmp> | undefined;
  readonly window: JudgeWindow;
}

function countedFinding(refuser: CountedRefuser, context: Context): CauseFinding {
  const { entry, packets, first, last } = refuser;
  const flows = flowsOfOnly(packets, context.drops);
  return {
    // The counter moves for exactly the packets that meet this verdict.
    ...common([refuser], packets, context, flows),
    confidence: 'certain',
    scope: { rule: nameOf(entry) },
    because: [
      {
        source: sourceOf(entry),
        text: `${packets} packets met ${describe(entry)}`,
        first: String(first),
        last: String(last),
      },
      ...captured(context.drops),
    ],
    means: `${capitalised(describe(entry))} refused these packets${byOwner(entry)}. That is what it was made for; ${faultIf(flows)}`,
    fixes: [acceptFix(refuser, true)],
    claims: claimsOf([refuser], context.drops),
  };
}

function othersFinding(others: readonly CountedRefuser[], context: Context): CauseFinding {
  const packets = others.reduce((sum, refuser) => sum + refuser.packets, 0);
  return {
    ...common(others, packets, context, []),
    confidence: 'certain',
    scope: { rule: `${others.length} more rules` },
    because: others.slice(0, NAMED_SUSPECTS).map(({ entry, packets, first, last }) => ({
      source: sourceOf(entry),
      text: `${packets} packets met ${nameOf(entry)}`,
      first: String(first),
      last: String(last),
    })),
    means: `${others.length} more rules and policies refused packets, each fewer than those listed on their own.`,
    fixes: [],
    claims: claimsOf(others, context.drops),
  };
}

function deducedFinding(
  { suspects, packets, claims, gaps, flows }: Deduction,
  firewall: Sampled<Firewall>,
  context: Context,
): CauseFinding {
  const { matching } = firewall.last;
  const unseen = [...firewall.last.unseen, ...rulesGone(firewall)];
  // Policies and rules without a condition first: whatever is not accepted ends there.
  const ranked = [...suspects].sort((a, b) => conditions(a) - conditions(b));
  const [first] = ranked;
  const only = ranked.length === 1 ? first : undefined;
  const names = ranked.slice(0, NAMED_SUSPECTS).map(({ entry }) => nameOf(entry));
  const more = ranked.length - names.length;
  const list = `${names.join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
  const known = (flows ?? []).filter(({ flow }) => flow !== undefined);
  const knownFlows = known.flatMap(({ flow }) => flow ?? []);
  const isEstimate = known.some(({ drop }) => drop.details?.flowsApproximate === true);
  return {
    ...common(ranked, packets, context, knownFlows),
    confidence: unseen.length === 0 ? 'likely' : 'possible',
    scope:
      first === undefined
        ? {}
        : {
            rule: `${nameOf(first.entry)}${only === undefined ? `, or ${ranked.length - 1} more` : ''}`,
          },
    because: [
      {
        source: 'skb:kfree_skb',
        text: `${isEstimate ? 'about ' : ''}${packets} packets were dropped by the firewall, and no counter of a rule accounts for them`,
      },
      ...gaps.map((text) => ({ source: '/proc/net/snmp, /proc/net/snmp6', text })),
      ...(only === undefined ? [] : matchObservation(only, known, matching)),
      ...ranked.slice(0, NAMED_SUSPECTS).map(({ entry, because, undecided }) => ({
        source: sourceOf(entry),
        text: `${nameOf(entry)}: ${whyUncounted[because]}${known.length === 0 ? '' : notTold(undecided)}`,
      })),
      ...unseen.map((text) => ({ source: 'firewall', text })),
    ],
    means:
      only !== undefined
        ? `${unseen.length === 0 ? 'Only' : 'Of the rules that are known, only'} ${describe(only.entry)} can have refused these packets, and ${whyNotKnown[only.because]}${byOwner(only.entry)}. ${capitalised(faultIf(knownFlows))}`
        : `One of these refused the packets, and none of them counts: ${list}. Add a counter to each rule to see which; a policy can have a last rule with nothing but a counter before it. It is a fault only if this traffic is wanted.`,
    fixes: only === undefined ? [] : [acceptFix(only, false)],
    claims,
    ...(flows !== undefined && { flows: knownFlows }),
  };
}

/** How the busiest flow meets the rule. Nothing where the capture tells no flows. */
function matchObservation(
  { entry, undecided }: Suspect,
  [busiest]: readonly Flow[],
  matching: Matching | undefined,
): readonly Observation[] {
  if (busiest?.flow === undefined || matching === undefined) return [];
  const flow = describeFlow(busiest.flow, busiest.drop);
  const text =
    'policy' in entry
      ? `no rule before the policy refuses ${flow}`
      : `${flow} ${undecided.length === 0 ? 'meets' : 'may meet'} ${conditionsMet(entry, busiest.packet, matching)}`;
  return [{ source: 'nft list ruleset', text }];
}

/** Expressions that a captured flow cannot answer. */
function notTold(undecided: readonly Statement[]): string {
  if (undecided.length === 0) return '';
  const texts = undecided.slice(0, NAMED_EXPRESSIONS).map((statement) => conditionText(statement));
  const shown = [...new Set(texts)];
  const more = undecided.length > NAMED_EXPRESSIONS ? ' …' : '';
  return `; the capture does not tell: ${shown.join(', ')}${more}`;
}

const whyUncounted: Readonly<Record<UncountedRefuser['because'], string>> = {
  'not counted': 'has no counter for what it refuses',
  new: 'came into the ruleset while measuring',
  'counter reset': 'its counter was set back while measuring',
};

const whyNotKnown: Readonly<Record<UncountedRefuser['because'], string>> = {
  'not counted': 'it does not count them itself',
  new: 'its counter may have begun with any number',
  'counter reset': 'its counter does not tell how many',
};

/** A reload puts others in their place; what they refused before, no counter tells any more. */
function rulesGone({ first, last }: Sampled<Firewall>): readonly string[] {
  const gone = [...first.packets].filter(([key]) => last.packets.get(key) === undefined).length;
  return gone === 0
    ? []
    : [
        `${gone} rules or policies with a counter went out of the ruleset while measuring: they may have refused these packets, too`,
      ];
}

function common(
  refusers: readonly Refuser[],
  packets: number,
  context: Context,
  flows: readonly DropFlow[],
) {
  return {
    kind: 'cause',
    packets,
    ...trafficOf(refusers, packets, context.snmp),
    severityAtMost: isScan(flows) ? 'notice' : policySeverity(packets, context.window),
    rulesOut: rulesOut(context.conntrack),
  } as const;
}

function trafficOf(
  refusers: readonly Refuser[],
  packets: number,
  snmp: Sampled<Snmp> | undefined,
): Pick<CauseFinding, 'traffic'> {
  if (snmp === undefined) return {};
  const risen = (names: readonly string[]) =>
    names.reduce(
      (sum, name) => sum + rise(snmp.first.counters.get(name), snmp.last.counters.get(name)),
      0,
    );
  const places = refusers.flatMap((refuser) => placesOf(refuser));
  // What a bridge passes on, and ARP, nothing here counts.
  if (!places.every((place) => isOfIp(place) || place === 'ingress' || place === 'egress'))
    return {};
  if (
    places.every((place) => place === 'output' || place === 'postrouting' || place === 'egress')
  ) {
    const sent = risen(['Ip.OutRequests', 'Ip6.OutRequests', 'Ip.ForwDatagrams']);
    return { traffic: { packets: sent, what: 'IP packets sent' } };
  }
  const received = risen(['Ip.InReceives', 'Ip6.InReceives']);
  // What an ingress hook refuses never comes to the IP layer's counters.
  return places.includes('ingress')
    ? { traffic: { packets: received + packets, what: 'packets received' } }
    : { traffic: { packets: received, what: 'IP packets received' } };
}

function rulesOut(conntrack: Sampled<Conntrack> | undefined): CauseFinding['rulesOut'] {
  if (conntrack === undefined) return [];
  const dropped = conntrackRise(conntrack, 'drop');
  return [
    {
      id: 'nf-conntrack-full',
      because:
        dropped === 0
          ? "conntrack's own drop counter did not move"
          : `conntrack counted ${dropped} drops of its own, and these are not among them`,
    },
  ];
}

/** One claim per location and protocol: several rules refuse alike. */
function claimsOf(
  refusers: readonly CountedRefuser[],
  capture: DropCapture | undefined,
): readonly Claim[] {
  const reason = dropReason(capture);
  const claims = new Map<string, Claim & { readonly packets: number }>();
  for (const refuser of refusers) {
    const site = dropSites(capture).find(({ backends }) =>
      backends.includes(refuser.entry.backend),
    );
    if (site === undefined) continue;
    const { location } = site;
    const protocol = protocolsOf(refuser);
    const key = `${location} ${protocol.join(' ')}`;
    const packets = refuser.packets + (claims.get(key)?.packets ?? 0);
    claims.set(key, { reason, location, ...(protocol.length > 0 && { protocol }), packets });
  }
  return [...claims.values()];
}

/** Of what the firewall dropped, this much is one rule's: then the flows are its own. */
const NEARLY_ALL = 0.9;

/** Whom a rule that counts refused, as far as the capture tells. Nothing where others refused packets as well. */
function flowsOfOnly(packets: number, capture: DropCapture | undefined): readonly DropFlow[] {
  const refused = (capture?.drops ?? []).filter(({ reason }) => reason === 'NETFILTER_DROP');
  return packets >= NEARLY_ALL * packetsOf(refused)
    ? refused.flatMap(({ details }) => details?.topFlows ?? [])
    : [];
}

function captured(capture: DropCapture | undefined): readonly Observation[] {
  const seen = countDrops(capture, 'NETFILTER_DROP');
  return seen === 0
    ? []
    : [
        {
          source: 'skb:kfree_skb',
          text: `${seen} drops with the reason NETFILTER_DROP on this machine`,
        },
      ];
}

function faultIf(flows: readonly DropFlow[]): string {
  return isScan(flows)
    ? 'they try many ports, as a port scan does.'
    : 'it is a fault only if this traffic is wanted.';
}

function describe(entry: FirewallRule | FirewallPolicy): string {
  const place = `chain ${entry.chain} of table ${entry.family} ${entry.table}`;
  if ('policy' in entry) return `the policy of ${place}`;
  return entry.handle !== null && entry.tool === 'nft'
    ? `the rule with handle ${entry.handle} in ${place}`
    : `rule ${entry.position} in ${place} (${entry.backend})`;
}

function byOwner({ owner }: FirewallRule | FirewallPolicy): string {
  return owner === null ? '' : `; by its names it belongs to ${owner}`;
}

/** Policies end what is left over; a bare verdict does the same; the rest is more special. */
function conditions({ entry }: Refuser): number {
  if ('policy' in entry) return 0;
  return /^((counter|log|-A \S+) ?)*(-j )?(drop|reject)/i.test(entry.text) ? 0 : 1;
}

function capitalised(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
