import { expect, test } from 'vitest';

import type { Conntrack } from '../../../checks/conntrack.ts';
import type {
  Firewall,
  FirewallPolicy,
  FirewallRule,
  Matching,
  Statement,
} from '../../../checks/firewall.ts';
import { packetsOf } from '../../../checks/firewall/ruleset.ts';
import type { Snmp } from '../../../checks/snmp.ts';
import rule from '../../../rules/netfilter/nf-rule-drop.ts';
import type { Sampled } from '../../../src/model/check.ts';
import { EtherType, type DropCapture, type DropCount } from '../../../src/model/drops.ts';
import type { CauseFinding } from '../../../src/model/rule.ts';

type Entries = readonly (FirewallRule | FirewallPolicy)[];
type Counters = Readonly<Record<string, number>>;

interface Case {
  readonly first: Entries;
  readonly last?: Entries;
  readonly drops?: readonly Partial<DropCount>[];
  readonly hasReasons?: boolean;
  /** Rises of protocol counters; null: could not look. */
  readonly ip?: Counters | null;
  readonly conntrack?: Counters;
  readonly unseen?: readonly string[];
  readonly seconds?: number;
  /** Read for matching: the texts of rules are taken for what they do. */
  readonly matched?: true;
  /** Keys of rules whose counter stood still. */
  readonly untouched?: ReadonlySet<string>;
}

function judge({
  first,
  last = first,
  drops,
  hasReasons = true,
  ip = {},
  conntrack,
  unseen = [],
  seconds = 5,
  matched,
  untouched = new Set(),
}: Case): readonly CauseFinding[] {
  const capture: DropCapture | undefined = drops && {
    backend: 'tracefs',
    events: 0,
    lost: 0,
    hasReasons,
    drops: drops.map((drop) => ({
      reason: hasReasons ? 'NETFILTER_DROP' : null,
      location: 'nft_do_chain',
      protocol: 0x0800,
      packets: 0,
      edgePackets: 0,
      ...drop,
    })),
  };
  const findings = rule.judge(
    {
      firewall: sampled(firewallOf(first, unseen), {
        ...firewallOf(last, unseen),
        ...(matched && { matching: { ...matchingOf(last), untouched } }),
      }),
      drops: capture,
      snmp: ip === null ? undefined : risen<Snmp>({ 'Ip.OutTransmits': 0, ...ip }, {}),
      conntrack: conntrack && risen<Conntrack>(conntrack, { count: 10 }),
      link: undefined,
      sysctl: undefined,
    },
    { seconds, foreignNetns: false, severalNetns: true, interfaces: [] },
  );
  return findings.filter((finding): finding is CauseFinding => finding.kind === 'cause');
}

function sampled<Value>(first: Value, last: Value): Sampled<Value> {
  return { first, last, samples: [first, last] };
}

function firewallOf(entries: Entries, unseen: readonly string[]): Firewall {
  const tables = {
    rules: entries.filter((entry): entry is FirewallRule => 'verdict' in entry),
    policies: entries.filter((entry): entry is FirewallPolicy => 'policy' in entry),
  };
  return { ...tables, packets: packetsOf(tables), unseen };
}

/** Conditions of these tests are ports, or cannot be decided. */
function matchingOf(entries: Entries): Omit<Matching, 'untouched'> {
  const statements = entries.map(({ key, text }): [string, readonly Statement[]] => {
    const [, port] = /udp dport (\d+)/.exec(text) ?? [];
    const conditions: Statement[] =
      port === undefined
        ? []
        : [{ kind: 'match', key: ['udp dport'], operator: '==', right: [[Number(port)]] }];
    if (text.includes('limit'))
      conditions.push({ kind: 'undecidable', text: 'limit rate 5/second' });
    const to = text.includes('accept') ? 'accept' : 'drop';
    return [key, [...conditions, { kind: 'decision', way: { to } }]];
  });
  return {
    statements: new Map(statements),
    added: new Set(),
    sets: new Map(),
    addresses: { local: ['10.77.0.2'], broadcast: [] },
  };
}

/** What the BPF capture tells of datagrams to these ports, and how many to each. */
function toPorts(
  packets: Readonly<Record<number, number>>,
  change: Partial<DropCount> & { flowsApproximate?: boolean; destination?: string } = {},
): Partial<DropCount> {
  const { flowsApproximate = false, destination = '10.77.0.2', ...ofDrop } = change;
  const topFlows = Object.entries(packets).map(([port, count]) => ({
    source: '10.77.0.1',
    destination,
    ports: { source: 4000, destination: Number(port) },
    packets: count,
  }));
  return {
    packets: topFlows.reduce((sum, { packets }) => sum + packets, 0),
    details: {
      netns: 1,
      ifindex: 2,
      interface: 'eth0',
      ipProtocol: 17,
      topFlows,
      flowCount: topFlows.length,
      flowsApproximate,
      samples: [],
      stack: [],
    },
    ...ofDrop,
  };
}

function risen<Value>(rises: Counters, extra: object): Sampled<Value> {
  const at = (factor: number) =>
    ({
      ...extra,
      counters: new Map(
        Object.entries(rises).map(([name, to]) => [name, BigInt(100 + factor * to)]),
      ),
    }) as Value;
  return sampled(at(0), at(1));
}

let lastHandle = 0;

function nft(
  text: string,
  packets: bigint | null,
  change: Partial<FirewallRule> = {},
): FirewallRule {
  const handle = change.handle ?? ++lastHandle;
  return {
    key: `nftables inet filter input handle ${handle}`,
    backend: 'nftables',
    tool: 'nft',
    family: 'inet',
    table: 'filter',
    chain: 'input',
    hooks: ['input'],
    handle,
    position: 1,
    text,
    comment: null,
    owner: null,
    verdict: text.includes('reject') ? 'reject' : 'drop',
    packets,
    ...change,
  };
}

function legacy(text: string, packets: bigint, change: Partial<FirewallRule> = {}): FirewallRule {
  return nft(text, packets, {
    key: `iptables-legacy ip filter ${text}`,
    backend: 'iptables-legacy',
    tool: 'iptables-legacy',
    family: 'ip',
    chain: 'INPUT',
    handle: null,
    ...change,
  });
}

function policy(change: Partial<FirewallPolicy> = {}): FirewallPolicy {
  return {
    key: 'nftables inet filter input policy',
    backend: 'nftables',
    tool: 'nft',
    family: 'inet',
    table: 'filter',
    chain: 'input',
    hook: 'input',
    policy: 'drop',
    text: 'policy drop',
    owner: null,
    packets: null,
    ...change,
  };
}

/** The same entries, with so many packets more on the counter of the first. */
function later(entries: Entries, packets: bigint): Entries {
  const [first, ...others] = entries;
  if (first?.packets === undefined || first.packets === null) throw new Error('no counter');
  return [{ ...first, packets: first.packets + packets }, ...others];
}

const inputGap = (packets: number): Counters => ({
  'Ip.InReceives': 1000,
  'Ip.InDelivers': 1000 - packets,
});

test('a counted rule: certain, named, with its counter and the events it accounts for', () => {
  const first = [nft('udp dport 5000 counter drop', 7n, { handle: 9, owner: 'Docker' })];
  const findings = judge({
    first,
    last: later(first, 200n),
    drops: [{ packets: 200 }],
    ip: inputGap(200),
    conntrack: { drop: 0 },
  });
  expect(findings).toMatchObject([
    {
      confidence: 'certain',
      packets: 200,
      severityAtMost: 'warning',
      traffic: { packets: 1000 },
      scope: { rule: 'inet filter input: udp dport 5000 counter drop' },
      claims: [{ reason: 'NETFILTER_DROP', location: 'nft_do_chain', packets: 200 }],
      rulesOut: [{ id: 'nf-conntrack-full' }],
    },
  ]);
  expect(findings[0]?.because[0]).toMatchObject({ first: '7', last: '207' });
  expect(findings[0]?.means).toContain('Docker');
});

test('needs no capture: the counter has one meaning', () => {
  const first = [nft('counter reject', 0n)];
  expect(judge({ first, last: later(first, 3n), ip: null })).toMatchObject([
    { confidence: 'certain', packets: 3, claims: [{ packets: 3 }] },
  ]);
});

test('a counter that stands still, and rules that refuse nothing, are no cause', () => {
  const accept = nft('counter accept', 0n, { verdict: 'accept' });
  expect(judge({ first: [nft('counter drop', 9_000_000n)] })).toEqual([]);
  expect(judge({ first: [accept], last: later([accept], 50n) })).toEqual([]);
});

test.each([
  ['slow: the noise of the Internet', 49n, 'notice'],
  ['ten a second', 50n, 'warning'],
])('severity: %s', (_, packets, severityAtMost) => {
  const first = [nft('counter drop', 0n)];
  expect(judge({ first, last: later(first, packets) })).toMatchObject([{ severityAtMost }]);
});

const eachOnce = (...ports: readonly number[]) => Object.fromEntries(ports.map((at) => [at, 1]));
const scanned = eachOnce(21, 22, 23, 25, 110, 139, 445, 3389);

test.each([
  ['a scan: each packet another port', toPorts(scanned), 'notice'],
  ['a scan that another rule refused', { ...toPorts(scanned), packets: 300 }, 'warning'],
  ['one service', toPorts({ 5000: 8 }), 'warning'],
  ['a group of services', toPorts(eachOnce(21, 22, 23, 25, 110, 139, 445)), 'warning'],
  ['a scan, and one service', toPorts({ ...scanned, 443: 3 }), 'warning'],
  // They come from port 4000.
  ['answers of one service', toPorts(eachOnce(...range(40_000, 10))), 'warning'],
  ['nothing is known of flows', { packets: 8 }, 'warning'],
])('severity by what was refused: %s', (_, drop, severityAtMost) => {
  const first = [nft('counter drop', 0n)];
  expect(judge({ first, last: later(first, 200n), drops: [drop] })).toMatchObject([
    { severityAtMost },
  ]);
  const uncounted = { first: [base], drops: [{ ...drop, packets: 200 }], ip: inputGap(200) };
  expect(judge(uncounted)).toMatchObject([{ packets: 200 }]);
});

function range(from: number, count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => from + index);
}

test.each([
  {
    name: 'iptables-legacy',
    entry: legacy('-A INPUT -j DROP', 0n),
    claim: { location: 'nf_hook_slow', protocol: [EtherType.IPv4] },
  },
  {
    name: 'nftables, both versions of IP',
    entry: nft('counter drop', 0n),
    claim: { location: 'nft_do_chain' },
  },
  {
    name: 'nftables, IPv6 only',
    entry: nft('ip6 saddr fe80::/10 counter drop', 0n),
    claim: { location: 'nft_do_chain', protocol: [EtherType.IPv6] },
  },
])('claims the drops of its backend and protocol only: $name', ({ entry, claim }) => {
  const drops = [{ packets: 50 }, { packets: 50, location: 'nf_hook_slow' }];
  const [finding] = judge({ first: [entry], last: later([entry], 50n), drops });
  expect(finding?.claims).toEqual([{ reason: 'NETFILTER_DROP', packets: 50, ...claim }]);
});

test('older kernels: nftables drops where everything else does, or without a reason', () => {
  const first = [nft('counter drop', 0n)];
  const old = { location: 'nf_hook_slow', packets: 50 };
  expect(judge({ first, last: later(first, 50n), drops: [old] })[0]?.claims).toEqual([
    { reason: 'NETFILTER_DROP', location: 'nf_hook_slow', packets: 50 },
  ]);
  expect(
    judge({ first, last: later(first, 50n), drops: [old], hasReasons: false })[0]?.claims,
  ).toEqual([{ reason: null, location: 'nf_hook_slow', packets: 50 }]);
});

test('a policy of iptables has a counter', () => {
  const first = [
    policy({
      tool: 'iptables-legacy',
      backend: 'iptables-legacy',
      text: '-P INPUT DROP',
      packets: 5n,
    }),
  ];
  expect(judge({ first, last: later(first, 60n) })).toMatchObject([
    {
      confidence: 'certain',
      packets: 60,
      scope: { rule: 'iptables-legacy -t filter -P INPUT DROP' },
    },
  ]);
});

test('a policy of nftables is deduced: refused here, and no counter accounts for it', () => {
  const findings = judge({
    first: [policy(), nft('ct state invalid drop', null)],
    drops: [{ packets: 80 }],
    ip: inputGap(80),
    conntrack: { drop: 0, invalid: 0 },
  });
  expect(findings).toMatchObject([
    {
      confidence: 'likely',
      packets: 80,
      scope: { rule: 'inet filter input: policy drop' },
      claims: [
        { reason: 'NETFILTER_DROP', location: 'nft_do_chain', protocol: 0x0800, packets: 80 },
      ],
    },
  ]);
  expect(findings[0]?.fixes).toHaveLength(1);
});

test('ICMP errors of no connection are invalid too, and counted apart', () => {
  const first = [nft('ct state invalid drop', null)];
  const drops = [{ packets: 80 }];
  const ip = inputGap(80);
  expect(judge({ first, drops, ip, conntrack: { drop: 0, invalid: 0, error: 0 } })).toEqual([]);
  expect(judge({ first, drops, ip, conntrack: { drop: 0, invalid: 0, error: 80 } })).toHaveLength(
    1,
  );
});

test('several without a counter: one finding that names them all', () => {
  const first = [nft('udp dport 5000 drop', null), nft('ct state invalid drop', null), policy()];
  const findings = judge({
    first,
    drops: [{ packets: 80 }],
    ip: inputGap(80),
    conntrack: { drop: 0, invalid: 9 },
  });
  expect(findings).toMatchObject([
    {
      confidence: 'likely',
      packets: 80,
      scope: { rule: 'inet filter input: policy drop, or 2 more' },
      fixes: [],
    },
  ]);
  expect(findings[0]?.means).toContain('udp dport 5000 drop');
  expect(findings[0]?.means).toContain('ct state invalid drop');
});

test('both versions of IP refused by one policy: one finding', () => {
  const drops = [{ packets: 80 }, { packets: 20, protocol: 0x86dd }];
  const ip = { ...inputGap(80), 'Ip6.InReceives': 50, 'Ip6.InDelivers': 30, 'Ip6.OutTransmits': 0 };
  expect(judge({ first: [policy()], drops, ip })).toMatchObject([
    {
      packets: 100,
      claims: [
        { protocol: 0x0800, packets: 80 },
        { protocol: 0x86dd, packets: 20 },
      ],
    },
  ]);
});

test('the counted part is taken off first', () => {
  const first = [nft('udp dport 5000 counter drop', 0n), policy()];
  const ip = inputGap(100);
  expect(judge({ first, last: later(first, 70n), drops: [{ packets: 100 }], ip })).toMatchObject([
    { confidence: 'certain', packets: 70 },
    { confidence: 'likely', packets: 30 },
  ]);
  expect(judge({ first, last: later(first, 100n), drops: [{ packets: 100 }], ip })).toHaveLength(1);
});

test('drops of another namespace: this one misses no packet', () => {
  expect(judge({ first: [policy()], drops: [{ packets: 5000 }], ip: inputGap(0) })).toEqual([]);
});

test('no more than what this namespace misses is laid at its door', () => {
  expect(judge({ first: [policy()], drops: [{ packets: 5000 }], ip: inputGap(12) })).toMatchObject([
    { packets: 12 },
  ]);
});

test('packets missed here that the firewall did not drop are not its doing', () => {
  const drops = [{ packets: 12, reason: 'IP_INNOROUTES', location: 'ip_rcv_finish' }];
  expect(judge({ first: [policy()], drops, ip: inputGap(12) })).toEqual([]);
});

test('errors that IP counts itself, and fragments, are not missing', () => {
  const ip = {
    ...inputGap(50),
    'Ip.InHdrErrors': 10,
    'TcpExt.IPReversePathFilter': 25,
    'Ip.ReasmReqds': 20,
    'Ip.ReasmOKs': 5,
  };
  expect(judge({ first: [policy()], drops: [{ packets: 50 }], ip })).toEqual([]);
});

test('a full conntrack table is never a rule, though it drops in the same place', () => {
  const first = [
    policy({ backend: 'iptables-legacy', tool: 'iptables-legacy', text: '-P INPUT DROP' }),
  ];
  const drops = [{ packets: 280, location: 'nf_hook_slow' }];
  expect(judge({ first, drops, ip: inputGap(280), conntrack: { drop: 280 } })).toEqual([]);
  expect(judge({ first, drops, ip: inputGap(280), conntrack: { drop: 200 } })).toMatchObject([
    {
      packets: 80,
      rulesOut: [
        { because: 'conntrack counted 200 drops of its own, and these are not among them' },
      ],
    },
  ]);
});

test('forward: packets that were forwarded on paper, and never sent', () => {
  const forward = policy({
    chain: 'forward',
    hook: 'forward',
    key: 'nftables inet filter forward policy',
  });
  const ip = { 'Ip.InReceives': 90, 'Ip.ForwDatagrams': 90, 'Ip.OutTransmits': 40 };
  expect(judge({ first: [policy(), forward], drops: [{ packets: 50 }], ip })).toMatchObject([
    { packets: 50, scope: { rule: 'inet filter forward: policy drop' } },
  ]);
});

test('forward, on kernels that count forwarding after the hook', () => {
  const forward = policy({ hook: 'forward' });
  const first = { first: [forward], drops: [{ packets: 50, location: 'nf_hook_slow' }] };
  const snmp = risen<Snmp>({ 'Ip.InReceives': 90, 'Ip.ForwDatagrams': 40 }, {});
  const findings = rule.judge(
    {
      firewall: sampled(firewallOf(first.first, []), firewallOf(first.first, [])),
      drops: {
        backend: 'tracefs',
        events: 50,
        lost: 0,
        hasReasons: true,
        drops: [
          {
            reason: 'NETFILTER_DROP',
            location: 'nf_hook_slow',
            protocol: 0x0800,
            packets: 50,
            edgePackets: 0,
          },
        ],
      },
      snmp,
      conntrack: undefined,
      link: undefined,
      sysctl: undefined,
    },
    { seconds: 5, foreignNetns: false, severalNetns: true, interfaces: [] },
  );
  expect(findings).toMatchObject([{ packets: 50 }]);
});

test('output: the sender was told, so it was not a forwarded packet', () => {
  const output = nft('udp dport 5000 drop', null, { chain: 'output', hooks: ['output'] });
  const forward = nft('udp dport 5000 drop', null, { chain: 'forward', hooks: ['forward'] });
  const ip = {
    'Ip.OutRequests': 50,
    'Ip.OutDiscards': 50,
    'Ip.ForwDatagrams': 7,
    'Ip.InReceives': 7,
    'Ip.OutTransmits': 7,
  };
  expect(judge({ first: [forward, output], drops: [{ packets: 50 }], ip })).toMatchObject([
    {
      packets: 50,
      scope: { rule: 'inet filter output: udp dport 5000 drop' },
      traffic: { packets: 57 },
    },
  ]);
});

test('a full qdisc also discards output, but lets the packet reach the device', () => {
  const output = nft('udp dport 5000 drop', null, { hooks: ['output'] });
  const ip = { 'Ip.OutRequests': 50, 'Ip.OutDiscards': 50, 'Ip.OutTransmits': 50 };
  expect(judge({ first: [output], drops: [{ packets: 50 }], ip })).toEqual([]);
});

test('hooks of a bridge have the names of IP hooks, but lie elsewhere', () => {
  const bridge = nft('drop', null, { family: 'bridge' });
  expect(judge({ first: [bridge], drops: [{ packets: 50 }], ip: inputGap(50) })).toEqual([]);
});

test('a rule no packet can reach is no suspect', () => {
  const unused = nft('drop', null, { hooks: [] });
  expect(judge({ first: [unused], drops: [{ packets: 50 }], ip: inputGap(50) })).toEqual([]);
});

test('a rule for the other version of IP is no suspect', () => {
  const other = nft('ip6 saddr fe80::/10 drop comment "not ip saddr"', null);
  expect(judge({ first: [other], drops: [{ packets: 50 }], ip: inputGap(50) })).toEqual([]);
});

test('a rule put in while measuring: its counter has no start, so it is a suspect', () => {
  const inserted = nft('counter drop', 50n);
  const drops = [{ packets: 50 }];
  expect(judge({ first: [], last: [inserted], drops, ip: inputGap(50) })).toMatchObject([
    { confidence: 'likely', packets: 50 },
  ]);
  expect(judge({ first: [], last: [inserted] })).toEqual([]);
});

test('a counter set back while measuring (iptables -Z) is no count', () => {
  const before = [legacy('-A INPUT -j DROP', 1000n)];
  const after = [legacy('-A INPUT -j DROP', 4n)];
  const findings = judge({
    first: before,
    last: after,
    drops: [{ packets: 50, location: 'nf_hook_slow' }],
    ip: inputGap(50),
  });
  expect(findings).toMatchObject([{ confidence: 'likely', packets: 50 }]);
  expect(findings[0]?.because.map(({ text }) => text).join()).toContain('set back');
});

test('drops at the edge of the window are laid at nobody’s door', () => {
  expect(
    judge({ first: [policy()], drops: [{ packets: 50, edgePackets: 50 }], ip: inputGap(50) }),
  ).toEqual([]);
});

test('could not look: without capture or IP counters nothing is deduced', () => {
  expect(judge({ first: [policy()], ip: inputGap(50) })).toEqual([]);
  expect(judge({ first: [policy()], drops: [{ packets: 50 }], ip: null })).toEqual([]);
});

test('could not see all rules: a suspect is only possible', () => {
  const unseen = ['iptables-legacy-save is not installed.'];
  expect(
    judge({ first: [policy()], drops: [{ packets: 50 }], ip: inputGap(50), unseen }),
  ).toMatchObject([{ confidence: 'possible' }]);
});

test('more than ten rules: the rest in one finding, no packet lost', () => {
  const first = Array.from({ length: 14 }, (_, index) =>
    nft(`tcp dport ${index} counter drop`, 0n),
  );
  const last = first.map((entry, index) => ({ ...entry, packets: BigInt(100 + index) }));
  const findings = judge({ first, last, drops: [{ packets: 1491 }], ip: inputGap(1491) });
  expect(findings).toHaveLength(11);
  expect(findings[0]).toMatchObject({ packets: 113 });
  expect(findings[10]).toMatchObject({
    packets: 100 + 101 + 102 + 103,
    scope: { rule: '4 more rules' },
  });
  expect(findings.reduce((sum, { packets }) => sum + packets, 0)).toBe(1491);
});

test('fixes name the rule, are for hands only, and quote hostile names', () => {
  const first = [
    legacy('-A x;reboot -j DROP', 0n, { chain: 'x;reboot', position: 3 }),
    nft('counter drop', 0n, { handle: 42 }),
  ];
  const last = first.map((entry) => ({ ...entry, packets: 9n }));
  const fixes = judge({ first, last }).flatMap((finding) => finding.fixes);
  expect(
    fixes.every(
      ({ risk, steps }) => risk === 'disruptive' && steps.every(({ kind }) => kind === 'manual'),
    ),
  ).toBe(true);
  const texts = fixes.map(({ steps }) =>
    steps.map((step) => ('text' in step ? step.text : '')).join('\n'),
  );
  expect(texts[0]).toContain("iptables-legacy -t filter -I 'x;reboot' 3 MATCH -j ACCEPT");
  expect(texts[1]).toContain('nft insert rule inet filter input handle 42 MATCH accept');
  expect(fixes[1]?.expect?.counter).toBe('firewall nftables inet filter input handle 42');
});

test('work grows with the number of rules, not with its square', () => {
  const looks = (count: number): number => {
    let read = 0;
    const counting = Array.from({ length: count }, (_, index) => {
      const entry = nft(`tcp dport ${index} drop`, null);
      return Object.defineProperty({ ...entry }, 'key', {
        get() {
          read++;
          return entry.key;
        },
      });
    });
    judge({ first: counting, drops: [{ packets: 50 }], ip: inputGap(50) });
    return read;
  };
  expect(looks(1000)).toBeLessThanOrEqual(10 * looks(100));
});

const ruleOf = ({ scope }: CauseFinding) => scope.rule?.replace('inet filter input: ', '');
const base = policy({ priority: 0 });

test('flows tell which of several rules without a counter it was', () => {
  const first = [
    nft('udp dport 53 drop', null),
    nft('udp dport 5000 accept', null, { verdict: 'accept' }),
    nft('udp dport 5000 drop', null),
    nft('udp dport 6000 drop', null, { owner: 'firewalld', handle: 77 }),
    base,
  ];
  const drops = [toPorts({ 6000: 80 })];
  const findings = judge({ first, drops, ip: inputGap(80), matched: true });
  expect(findings).toMatchObject([
    {
      confidence: 'likely',
      packets: 80,
      scope: { rule: 'inet filter input: udp dport 6000 drop' },
      claims: [{ location: 'nft_do_chain', interface: 'eth0', ipProtocol: 17, packets: 80 }],
      flows: drops[0]?.details?.topFlows,
    },
  ]);
  expect(findings[0]?.fixes).toHaveLength(1);
  const texts = findings[0]?.because.map(({ text }) => text).join('\n');
  expect(texts).toContain('UDP 10.77.0.1:4000 → 10.77.0.2:6000 meets udp dport 6000');
  expect(findings[0]?.means).toContain('handle 77');
  expect(findings[0]?.means).toContain('firewalld');
});

test('several flows: each rule its own packets, and its own flows', () => {
  const first = [nft('udp dport 53 drop', null), nft('udp dport 6000 drop', null), base];
  const drops = [toPorts({ 5000: 50, 53: 30, 6000: 10 })];
  const findings = judge({ first, drops, ip: inputGap(90), matched: true });
  expect(findings.map((finding) => [ruleOf(finding), finding.packets])).toEqual([
    ['policy drop', 50],
    ['udp dport 53 drop', 30],
    ['udp dport 6000 drop', 10],
  ]);
  expect(findings.map(({ flows }) => flows?.map(({ ports }) => ports?.destination))).toEqual([
    [5000],
    [53],
    [6000],
  ]);
});

test('a rule with a counter is not shown flows that another one refused', () => {
  const uncounted = nft('udp dport 6000 drop', null);
  const counter = (packets: bigint) => nft('udp dport 53 counter drop', packets, { handle: 9000 });
  const drops = [toPorts({ 6000: 50, 53: 30 })];
  const [first, last] = [100n, 130n].map((packets) => [counter(packets), uncounted, base]);
  const findings = judge({
    first: first ?? [],
    last: last ?? [],
    drops,
    ip: inputGap(80),
    matched: true,
  });
  expect(findings.map(({ flows }) => flows?.map(({ ports }) => ports?.destination))).toEqual([
    [53],
    [6000],
  ]);
});

test('a rule with a counter that is gone may have refused them too', () => {
  const left = nft('limit rate over 5/second drop', null);
  const first = [nft('udp dport 5000 counter drop', 7n), left];
  const [finding] = judge({ first, last: [left], drops: [{ packets: 50 }], ip: inputGap(50) });
  expect(finding).toMatchObject({
    confidence: 'possible',
    means: expect.stringMatching(/^Of the rules that are known, only the rule/) as string,
  });
  expect(finding?.because.map(({ text }) => text).join()).toContain('1 rules or policies');
});

test('packets of unknown flows are one of those that can have refused them', () => {
  const first = [nft('udp dport 53 drop', null), base];
  const drops = [toPorts({ 53: 60 }, { packets: 100 })];
  const findings = judge({ first, drops, ip: inputGap(100), matched: true });
  expect(findings).toMatchObject([
    { packets: 60, scope: { rule: 'inet filter input: udp dport 53 drop' } },
    { packets: 40, fixes: [], flows: [] },
  ]);
  expect(findings[1]?.means).toContain('One of these');
});

test('what a counter counted is not laid at the door of a look-alike', () => {
  const first = [nft('udp dport 53 counter drop', 0n), nft('udp dport 53 drop', null), base];
  const drops = [toPorts({ 53: 60, 5000: 20 })];
  const ip = inputGap(80);
  const findings = judge({ first, last: later(first, 60n), drops, ip, matched: true });
  expect(findings.map((finding) => [ruleOf(finding), finding.packets])).toEqual([
    ['udp dport 53 counter drop', 60],
    ['policy drop', 20],
  ]);
});

test('a rule that counts before its last condition, and counted nothing, is no suspect', () => {
  const early = nft('counter udp dport 5000 drop', null);
  const drops = [{ packets: 80 }];
  const ask = (untouched: ReadonlySet<string>) =>
    judge({ first: [early, base], drops, ip: inputGap(80), matched: true, untouched });
  expect(ask(new Set())[0]?.means).toContain('One of these');
  expect(ask(new Set([early.key]))[0]?.means).toContain('Only the policy');
});

test('what a flow cannot answer is said', () => {
  const first = [nft('udp dport 5000 limit drop', null), base];
  const drops = [toPorts({ 5000: 80 }, { flowsApproximate: true })];
  const [finding, ...others] = judge({ first, drops, ip: inputGap(80), matched: true });
  expect(others).toEqual([]);
  expect(finding).toMatchObject({ packets: 80, fixes: [] });
  const texts = finding?.because.map(({ text }) => text).join('\n');
  expect(texts).toContain('the capture does not tell: limit rate 5/second');
  expect(texts).toContain('about 80 packets');
});

test('a flow that no rule can have refused: all stay suspects', () => {
  const first = [nft('udp dport 53 drop', null), nft('udp dport 54 drop', null)];
  const drops = [toPorts({ 5000: 80 })];
  const [finding] = judge({
    first: [...first, { ...base, policy: 'accept' }],
    drops,
    ip: inputGap(80),
    matched: true,
  });
  expect(finding).toMatchObject({ packets: 80 });
  expect(finding?.flows).toBeUndefined();
  expect(finding?.means).toContain('udp dport 54 drop');
});

test('flows go to the gap that their addresses lead to', () => {
  const forward = policy({ key: 'forward', chain: 'forward', hook: 'forward', priority: 0 });
  const drops = [toPorts({ 5000: 30 }), toPorts({ 53: 50 }, { destination: '8.8.8.8' })];
  const ip = {
    'Ip.InReceives': 90,
    'Ip.InDelivers': 10,
    'Ip.ForwDatagrams': 50,
    'Ip.OutTransmits': 0,
  };
  const findings = judge({ first: [base, forward], drops, ip, matched: true });
  expect(findings.map(({ packets, flows }) => [packets, flows?.[0]?.destination])).toEqual([
    [50, '8.8.8.8'],
    [30, '10.77.0.2'],
  ]);
});

test('more rules than ten: the rest in one finding', () => {
  const ports = Array.from({ length: 14 }, (_, index) => 100 + index);
  const first = [...ports.map((port) => nft(`udp dport ${port} drop`, null)), base];
  const drops = [
    toPorts(Object.fromEntries(ports.slice(0, 7).map((port) => [port, port]))),
    toPorts(Object.fromEntries(ports.slice(7).map((port) => [port, port]))),
  ];
  const total = ports.reduce((sum, port) => sum + port, 0);
  const findings = judge({ first, drops, ip: { 'Ip.InReceives': total }, matched: true });
  expect(findings).toHaveLength(11);
  expect(findings[10]).toMatchObject({ packets: 100 + 101 + 102 + 103 });
});
