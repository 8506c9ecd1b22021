import { readFileSync } from 'node:fs';

import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import firewall, { type Firewall, type FirewallRule } from '../../../checks/firewall.ts';
import { parseIptablesSave } from '../../../checks/firewall/iptables.ts';
import { entriesOf } from '../../../checks/firewall/nft-entries.ts';
import { nftFirewall, parseNftJson } from '../../../checks/firewall/nftables.ts';
import { parseRuleCounters } from '../../../checks/firewall/rule-counters.ts';
import { unread, type Reading } from '../../../src/model/reading.ts';
import { fakeHost, type FakeMachine } from './fake-host.ts';
import { garbledText } from './garbled-text.ts';

/** Taken on Linux 6.18 with nft 1.0.6 and iptables 1.8.9 (Debian 12). */
function fixture(name: string): string {
  return readFileSync(new URL(`fixtures/firewall/${name}`, import.meta.url), 'utf8');
}

const nftCommand = 'nft --terse --json list ruleset';
const countersCommand = 'whydrop-rule-counters';
const noRuleset = '{"nftables": [{"metainfo": {"version": "1.0.6", "json_schema_version": 1}}]}';
const emptySaves = { 'iptables-nft-save -c': '', 'ip6tables-nft-save -c': '' };

async function read(machine: FakeMachine): Promise<Reading<Firewall>> {
  return firewall.read(fakeHost(machine), { phase: 'first', interfaces: [] });
}

async function valueOf(machine: FakeMachine): Promise<Firewall> {
  const reading = await read(machine);
  if (reading.status !== 'ok') throw new Error(`${reading.status}: ${reading.reason}`);
  return reading.value;
}

async function nftRule(
  statements: readonly unknown[],
  extra: object = {},
): Promise<Firewall['rules'][number]> {
  const text = JSON.stringify({
    nftables: [
      {
        chain: { family: 'inet', table: 't', name: 'c', handle: 1, hook: 'input', policy: 'drop' },
      },
      { counter: { family: 'inet', table: 't', name: 'mine', packets: 8, bytes: 80 } },
      { rule: { family: 'inet', table: 't', chain: 'c', handle: 2, expr: statements, ...extra } },
    ],
  });
  const listing = await parseNftJson(text);
  const [rule] = listing === undefined ? [] : nftFirewall(listing, new Set()).rules;
  if (rule === undefined) throw new Error('no rule');
  return rule;
}

const usual: FakeMachine = {
  commands: {
    [nftCommand]: fixture('usual.nft-json.txt'),
    'nft --json list maps': fixture('usual.nft-maps-json.txt'),
    ...emptySaves,
  },
};

/** One host with everything at once, the tables mixed up as badly as they can be. */
const mixed: FakeMachine = {
  files: { '/proc/net/ip_tables_names': 'filter\n', '/proc/net/ip6_tables_names': '' },
  commands: {
    [nftCommand]: fixture('mixed.nft-json.txt'),
    'iptables-nft-save -c': fixture('mixed.iptables-nft-save.txt'),
    'ip6tables-nft-save -c': fixture('mixed.ip6tables-nft-save.txt'),
    'iptables-legacy-save -c': fixture('mixed.iptables-legacy-save.txt'),
  },
};

test('writes nft rules as nft itself does', async () => {
  const { rules } = await valueOf(usual);
  const listed = fixture('usual.nft.txt')
    .split('\n')
    .flatMap((line) => /^\t\t(.*) # handle (\d+)$/.exec(line)?.[1] ?? [])
    .map((text) => text.replace(/counter packets \d+ bytes \d+/, 'counter'));
  const differently = new Set([
    // nft 1.0.6 prints `syn / fin,syn` for the same mask, and pads it.
    'tcp flags syn / fin,syn,rst,ack counter reject with tcp reset',
    'tcp flags syn / fin,syn drop',
    'meta mark & 0x000000ff == 0x00000020 drop',
  ]);
  const texts = rules.map(({ text }) => text);
  expect(texts.length).toBe(listed.length);
  expect(listed.filter((text) => !texts.includes(text))).toEqual([...differently]);
  expect(texts).toContain('tcp flags & (fin | syn) == syn drop');
});

test.each([
  ['counts what it drops', [{ counter: { packets: 3, bytes: 9 } }, { drop: null }], 3n],
  [
    'a match after the counter: it counts others too',
    [{ counter: { packets: 3, bytes: 9 } }, { match: {} }, { drop: null }],
    null,
  ],
  [
    'a limit after the counter',
    [{ counter: { packets: 3, bytes: 9 } }, { limit: { rate: 1 } }, { drop: null }],
    null,
  ],
  [
    'a log after the counter stops no packet',
    [{ counter: { packets: 3, bytes: 9 } }, { log: { prefix: 'x' } }, { drop: null }],
    3n,
  ],
  ['a counter object of its own', [{ counter: 'mine' }, { drop: null }], 8n],
  ['an unknown counter object', [{ counter: 'other' }, { drop: null }], null],
  [
    'a verdict map: how many of these were dropped is unknown',
    [
      { counter: { packets: 3, bytes: 9 } },
      { vmap: { key: 1, data: { set: [[1, { drop: null }]] } } },
    ],
    null,
  ],
  ['no counter', [{ drop: null }], null],
  ['listed without state (nft -s)', [{ counter: null }, { drop: null }], null],
])('packets of an nft rule: %s', async (_, statements, packets) => {
  expect(await nftRule(statements)).toMatchObject({ verdict: 'drop', packets });
});

test('a counter object that two rules use tells of neither', async () => {
  const rule = { family: 'inet', table: 't', chain: 'c', expr: [{ counter: 'n' }, { drop: null }] };
  const listing = await parseNftJson(
    JSON.stringify({
      nftables: [
        { chain: { family: 'inet', table: 't', name: 'c', hook: 'input' } },
        { counter: { family: 'inet', table: 't', name: 'n', packets: 8, bytes: 80 } },
        { rule: { ...rule, handle: 1 } },
        { rule: { ...rule, handle: 2 } },
      ],
    }),
  );
  const rules = listing === undefined ? [] : nftFirewall(listing, new Set()).rules;
  expect(rules.map(({ packets }) => packets)).toEqual([null, null]);
});

test.each([
  ['reject', { reject: { type: 'icmpx', expr: 'admin-prohibited' } }, 'reject'],
  ['reject of iptables-nft', { xt: { type: 'target', name: 'REJECT' } }, 'reject'],
  ['unknown extension (nft before 1.0.3)', { xt: null }, 'none'],
  ['queue', { queue: { num: 1 } }, 'queue'],
  [
    'verdict map with a drop',
    {
      vmap: {
        key: 1,
        data: {
          set: [
            [1, { accept: null }],
            [2, { drop: null }],
          ],
        },
      },
    },
    'drop',
  ],
  ['verdict map without', { vmap: { key: 1, data: { set: [[1, { accept: null }]] } } }, 'accept'],
  ['statement of the future', { teleport: { to: 'mars' } }, 'none'],
])('verdict of an nft rule: %s', async (_, statement, verdict) => {
  expect(await nftRule([statement])).toMatchObject({ verdict });
});

test('a statement it does not know is shown as it came, and comments are kept apart', async () => {
  const rule = await nftRule([{ teleport: { to: 'mars' } }, { drop: null }], {
    comment: 'a "b" drop',
  });
  expect(rule.text).toBe('{"teleport":{"to":"mars"}} drop comment "a "b" drop"');
  expect(rule.comment).toBe('a "b" drop');
});

test('follows jumps, also through verdict maps, to the hooks that lead to a rule', async () => {
  const { rules } = await valueOf(usual);
  const ofUser = rules.filter(({ chain }) => chain === 'user');
  expect(ofUser.map(({ hooks }) => hooks)).toEqual([['input'], ['input']]);

  const onlyByMap = JSON.stringify({
    nftables: [
      { chain: { family: 'ip', table: 't', name: 'base', hook: 'forward' } },
      { chain: { family: 'ip', table: 't', name: 'far' } },
      { chain: { family: 'ip', table: 't', name: 'nowhere' } },
      { map: { family: 'ip', table: 't', name: 'm', map: 'verdict' } },
      {
        rule: {
          family: 'ip',
          table: 't',
          chain: 'base',
          handle: 1,
          expr: [{ vmap: { key: 1, data: '@m' } }],
        },
      },
      { rule: { family: 'ip', table: 't', chain: 'far', handle: 2, expr: [{ drop: null }] } },
      { rule: { family: 'ip', table: 't', chain: 'nowhere', handle: 3, expr: [{ drop: null }] } },
    ],
  });
  const elements = JSON.stringify({
    nftables: [
      {
        map: {
          family: 'ip',
          table: 't',
          name: 'm',
          map: 'verdict',
          elem: [[7, { goto: { target: 'far' } }]],
        },
      },
    ],
  });
  const reached = await valueOf({
    commands: { [nftCommand]: onlyByMap, 'nft --json list maps': elements, ...emptySaves },
  });
  expect(reached.rules.map(({ hooks }) => hooks)).toEqual([['forward'], ['forward'], []]);
});

test('chain policies: every base chain, and nft has no counter for them', async () => {
  const { policies } = await valueOf(usual);
  expect(policies).toContainEqual(
    expect.objectContaining({ table: 'filter', chain: 'input', policy: 'drop', packets: null }),
  );
  expect(policies.map(({ hook }) => hook)).toContain('ingress');
});

test('tells the three backends apart, and lists no rule twice', async () => {
  const { rules, unseen } = await valueOf(mixed);
  const of = (backend: FirewallRule['backend']) =>
    rules
      .filter((rule) => rule.backend === backend)
      .map(({ family, table, chain, text }) => `${family} ${table} ${chain}: ${text}`);
  // Made by nft: one table iptables cannot show, one it would show with counters that are not there.
  expect(of('nftables')).toEqual([
    'ip mangle weird: ip saddr { 1.1.1.1, 2.2.2.2 } drop',
    'ip6 raw PREROUTING: tcp dport 5 drop',
    'arp filter INPUT: arp htype 1 arp hlen 6 arp plen 4 arp saddr ip 1.2.3.4 counter drop',
    'bridge filter FORWARD: ether type arp counter drop',
  ]);
  expect(of('iptables-nft')).toContain(
    'ip raw PREROUTING: -A PREROUTING -m rpfilter --invert -j DROP',
  );
  expect(of('iptables-legacy')).toEqual([
    'ip filter INPUT: -A INPUT -p udp -m udp --dport 6000 -j DROP',
  ]);
  expect(new Set(rules.map(({ key }) => key)).size).toBe(rules.length);
  expect(unseen).toEqual([]);
});

test('an iptables-nft rule has the text of iptables and the handle of nft', async () => {
  const { rules, policies } = await valueOf(mixed);
  expect(rules.find(({ chain }) => chain === 'DOCKER')).toMatchObject({
    backend: 'iptables-nft',
    tool: 'iptables-nft',
    hooks: ['input', 'forward'],
    handle: 16,
    position: 1,
    owner: 'Docker',
    text: '-A DOCKER ! -i eth0 -j DROP',
    verdict: 'drop',
    packets: 0n,
  });
  expect(rules.find(({ chain }) => chain === 'UNUSED')).toMatchObject({
    hooks: [],
    verdict: 'drop',
  });
  expect(policies.find(({ key }) => key === 'nftables ip filter INPUT policy')).toMatchObject({
    policy: 'drop',
    packets: 0n,
  });
});

const save = `*filter
:INPUT DROP [12:3456]
:FORWARD ACCEPT [0:0]
:f2b-ssh - [0:0]
:LOGDROP - [0:0]
[1:10] -A INPUT -p udp -m comment --comment "say \\"hi\\" -j ACCEPT" -j DROP
[2:20] -A INPUT -p udp -m comment --comment -j -j REJECT --reject-with icmp-port-unreachable
[3:30] -A INPUT -p tcp -j f2b-ssh
[4:40] -A INPUT -g LOGDROP
[5:50] -A INPUT -j LOG --log-prefix -j
[6:60] -A INPUT -j NFQUEUE --queue-num 0
[7:70] -A INPUT -s 9.9.9.9/32
[8:80] -A f2b-ssh -j DROP
[9:90] -A f2b-ssh -j DROP
-A LOGDROP -j DROP
COMMIT
`;

const source = { backend: 'iptables-legacy', family: 'ip', tool: 'iptables-legacy' } as const;

test('reads iptables-save: verdicts, comments that look like options, counters, hooks', () => {
  const { firewall, garbled } = parseIptablesSave(save, source);
  expect(garbled).toBe(0);
  expect(firewall.rules.map(({ verdict, packets }) => [verdict, packets])).toEqual([
    ['drop', 1n],
    ['reject', 2n],
    ['jump', 3n],
    ['jump', 4n],
    ['none', 5n],
    ['queue', 6n],
    ['none', 7n],
    ['drop', 8n],
    ['drop', 9n],
    ['drop', null],
  ]);
  expect(firewall.rules.map(({ comment }) => comment).slice(0, 3)).toEqual([
    'say "hi" -j ACCEPT',
    '-j',
    null,
  ]);
  expect(firewall.rules.at(-1)).toMatchObject({ chain: 'LOGDROP', hooks: ['input'], position: 1 });
  expect(firewall.policies).toEqual([
    expect.objectContaining({
      chain: 'INPUT',
      policy: 'drop',
      packets: 12n,
      text: '-P INPUT DROP',
    }),
    expect.objectContaining({ chain: 'FORWARD', policy: 'accept' }),
  ]);
});

test('an iptables rule is the same one after another was put in above it', () => {
  const before = parseIptablesSave(save, source).firewall.rules;
  const after = parseIptablesSave(
    save.replace('[1:10]', '[0:0] -A INPUT -s 1.1.1.1/32 -j ACCEPT\n[1:10]'),
    source,
  ).firewall.rules;
  const keys = new Set(after.map(({ key }) => key));
  expect(before.every(({ key }) => keys.has(key))).toBe(true);
  expect(after.length).toBe(before.length + 1);
});

test('legacy tables are not asked for when there are none: asking would create them', async () => {
  const asked: string[] = [];
  const host = fakeHost({
    files: { '/proc/net/ip_tables_names': '', '/proc/net/ip6_tables_names': '' },
    commands: { [nftCommand]: noRuleset },
  });
  const reading = await firewall.read(
    {
      ...host,
      run(argv) {
        asked.push(argv.join(' '));
        return host.run(argv);
      },
    },
    { phase: 'first', interfaces: [] },
  );
  expect(reading).toEqual({
    status: 'ok',
    value: { rules: [], policies: [], packets: new Map(), unseen: [] },
  });
  expect(asked.sort()).toEqual([nftCommand, countersCommand]);
});

test('without root: denied', async () => {
  const refused = { exitCode: 1, stderr: 'Operation not permitted (you must be root)\n' };
  expect(await read({ commands: { [nftCommand]: refused } })).toMatchObject({ status: 'denied' });
  const names = unread('denied', 'no');
  expect(
    await read({
      files: { '/proc/net/ip_tables_names': names },
      commands: { [nftCommand]: noRuleset },
    }),
  ).toMatchObject({ status: 'denied' });
});

test('no tool at all: absent, with what is missing', async () => {
  expect(await read({})).toEqual({ status: 'absent', reason: 'nft is not installed.' });
});

test('iptables-nft without nft: its rules, and a word on what cannot be seen', async () => {
  const { commands } = mixed;
  const value = await valueOf({
    commands: { 'iptables-nft-save -c': commands?.['iptables-nft-save -c'] ?? '' },
  });
  expect(
    value.rules.every(({ backend, handle }) => backend === 'iptables-nft' && handle === null),
  ).toBe(true);
  expect(value.rules.length).toBeGreaterThan(5);
  expect(value.unseen).toEqual(['nft is not installed.']);
});

test('legacy tables that nobody can list are not taken for no rules', async () => {
  const value = await valueOf({
    files: { '/proc/net/ip_tables_names': 'filter\n' },
    commands: { [nftCommand]: noRuleset },
  });
  expect(value.unseen).toEqual(['iptables-legacy-save is not installed.']);
});

test('an old iptables has no other name, and is the legacy one', async () => {
  const value = await valueOf({
    files: { '/proc/net/ip_tables_names': 'filter\n' },
    commands: { 'iptables -V': 'iptables v1.6.1\n', 'iptables-save -c': save },
  });
  expect(value.rules[0]).toMatchObject({ backend: 'iptables-legacy', tool: 'iptables' });
});

test('an nft that knows no --terse is asked again; one without JSON is malformed', async () => {
  const unknown = { exitCode: 1, stderr: "nft: unrecognized option '--terse'\n" };
  const old = await valueOf({
    commands: { [nftCommand]: unknown, 'nft --json list ruleset': noRuleset, ...emptySaves },
  });
  expect(old.rules).toEqual([]);
  const noJson = { stdout: 'table ip t {\n}\n', stderr: 'Error: JSON support not compiled-in\n' };
  expect(
    await read({ commands: { [nftCommand]: noJson, 'nft --json list ruleset': noJson } }),
  ).toMatchObject({
    status: 'malformed',
    reason: 'nft --json list ruleset printed no JSON. Error: JSON support not compiled-in',
  });
});

test('counters: what refuses packets and counts them, under the name of the rule', async () => {
  const value = await valueOf(mixed);
  const counters = new Map(firewall.counters?.(value));
  expect(counters.get('nftables ip filter INPUT policy')).toBe(0n);
  expect(counters.get('nftables bridge filter FORWARD handle 2')).toBe(0n);
  expect(
    counters.has(String(value.rules.find(({ text }) => text.includes('-j RETURN'))?.key)),
  ).toBe(false);
});

test('garbage is never more than left out', async () => {
  // Few enough entries that the damage often hits within one and leaves the whole valid.
  const json = fixture('usual.nft-json.txt').replace(/, \{"rule": .*/s, ']}');
  expect((await parseNftJson(json))?.chains.length).toBe(9);
  await fc.assert(
    fc.asyncProperty(garbledText(json), garbledText(save), async (nft, iptables) => {
      const listing = await parseNftJson(nft);
      const listed = listing === undefined ? [] : nftFirewall(listing, new Set()).policies;
      expect(listed.length).toBeLessThanOrEqual(9);
      const { firewall } = parseIptablesSave(iptables, source);
      expect(firewall.rules.length).toBeLessThanOrEqual(iptables.split('\n').length);
    }),
  );
});

test('statements of any shape are never more than left out', async () => {
  const names = [
    'match',
    'vmap',
    'counter',
    'limit',
    'log',
    'set',
    'mangle',
    'queue',
    'reject',
    'snat',
    'jump',
    'xt',
  ];
  const statement = fc.dictionary(fc.constantFrom(...names), fc.jsonValue(), { maxKeys: 1 });
  await fc.assert(
    fc.asyncProperty(fc.array(statement, { maxLength: 4 }), async (statements) => {
      expect(typeof (await nftRule(statements)).text).toBe('string');
    }),
  );
});

/** What whydrop reads over netlink of one chain: packets by handle. */
function counters(chain: string, rules: Readonly<Record<number, number | string | null>>): string {
  const [family, table, name] = chain.split(' ');
  const counted = Object.entries(rules).map(([handle, packets]) => [Number(handle), packets]);
  return JSON.stringify({ family, table, chain: name, policy: null, rules: counted });
}

function listing(...handles: readonly number[]): string {
  return JSON.stringify({
    nftables: [
      { chain: { family: 'ip', table: 't', name: 'c', handle: 1, hook: 'input', policy: 'drop' } },
      { counter: { family: 'ip', table: 't', name: 'mine', packets: 1, bytes: 80 } },
      ...handles.map((handle) => ({
        rule: {
          family: 'ip',
          table: 't',
          chain: 'c',
          handle,
          expr: [{ counter: handle === 9 ? 'mine' : { packets: 1, bytes: 80 } }, { drop: null }],
        },
      })),
    ],
  });
}

/** Reads at both ends of a window, with what the commands print then. */
async function window(
  first: NonNullable<FakeMachine['commands']>,
  last: NonNullable<FakeMachine['commands']>,
) {
  const interfaces: readonly string[] = [];
  const opening = await firewall.read(fakeHost({ commands: first }), {
    phase: 'first',
    interfaces,
  });
  if (opening.status !== 'ok') throw new Error(opening.reason);
  const closing = await firewall.read(fakeHost({ commands: last }), {
    phase: 'last',
    first: opening.value,
    interfaces,
  });
  return { opening: opening.value, closing };
}

const IN_CHAIN = 'ip t c';

test('with counters over netlink, the rules are listed once', async () => {
  const { opening, closing } = await window(
    { [countersCommand]: counters(IN_CHAIN, { 4: 17 }), [nftCommand]: listing(4) },
    { [countersCommand]: counters(IN_CHAIN, { 4: 20 }) },
  );
  expect(opening.rules).toEqual([]);
  expect([...opening.packets]).toEqual([['nftables ip t c handle 4', 17n]]);
  expect([...(firewall.counters?.(opening) ?? [])]).toEqual([['nftables ip t c handle 4', 17n]]);
  expect(closing).toMatchObject({
    status: 'ok',
    value: { rules: [{ handle: 4, verdict: 'drop', packets: 20n }], unseen: [] },
  });
});

test('a rule that came in after the listing has it made again; one that went is left out', async () => {
  const opening = {
    [countersCommand]: counters(IN_CHAIN, { 4: 17, 5: 1 }),
    [nftCommand]: listing(4, 5),
  };
  const came = await window(opening, {
    [countersCommand]: counters(IN_CHAIN, { 4: 20, 5: 1, 6: 3 }),
    [nftCommand]: listing(4, 5, 6),
  });
  expect(came.closing).toMatchObject({
    value: { rules: [{ handle: 4 }, { handle: 5 }, { handle: 6, packets: 3n }] },
  });
  const went = await window(opening, { [countersCommand]: counters(IN_CHAIN, { 4: 20 }) });
  expect(went.closing).toMatchObject({ value: { rules: [{ handle: 4 }] } });
});

test('the devices of a chain: nft 1.0.6 does not list them, netlink does', async () => {
  const chain = { family: 'netdev', table: 't', chain: 'c', policy: null, rules: [] };
  const told = JSON.stringify({ ...chain, devices: ['eth0', 'veth*', 7] });
  const listed = JSON.stringify({
    nftables: [
      { chain: { family: 'netdev', table: 't', name: 'c', hook: 'ingress', policy: 'drop' } },
      { chain: { family: 'netdev', table: 't', name: 'd', hook: 'egress', policy: 'drop' } },
    ],
  });
  const { closing } = await window(
    { [countersCommand]: told, [nftCommand]: listed },
    { [countersCommand]: told },
  );
  const policies = closing.status === 'ok' ? closing.value.policies : [];
  expect(policies.map(({ chain, devices }) => [chain, devices])).toEqual([
    ['c', ['eth0', 'veth*']],
    ['d', undefined],
  ]);
});

test('a counter object over netlink', async () => {
  const object = (packets: number) =>
    JSON.stringify({ family: 'ip', table: 't', counter: 'mine', packets });
  const rule = counters(IN_CHAIN, { 9: 'mine' });
  const { closing } = await window(
    { [countersCommand]: `${rule}\n${object(2)}`, [nftCommand]: listing(9) },
    { [countersCommand]: `${rule}\n${object(8)}` },
  );
  expect(closing).toMatchObject({ value: { rules: [{ handle: 9, packets: 8n }] } });
});

test('iptables-nft without nft has its handles from netlink', async () => {
  const counted = (packets: number) => ({
    [countersCommand]: counters('ip filter INPUT', { 7: packets }),
  });
  const save = '*filter\n:INPUT ACCEPT [0:0]\n[1:60] -A INPUT -p udp -j DROP\nCOMMIT\n';
  const { closing } = await window({ ...counted(1), 'iptables-nft-save -c': save }, counted(6));
  expect(closing).toMatchObject({
    value: {
      rules: [{ key: 'nftables ip filter INPUT handle 7', packets: 6n }],
      unseen: ['nft is not installed.'],
    },
  });
});

test('the counters of netlink: garbage is never more than left out', () => {
  const text = counters(IN_CHAIN, { 4: 17, 5: 'x', 6: null });
  expect([...(parseRuleCounters(text) ?? [])]).toEqual([['nftables ip t c handle 4', 17n]]);
  fc.assert(
    fc.property(garbledText(text), (garbled) => {
      expect([...(parseRuleCounters(garbled) ?? [])].length).toBeLessThanOrEqual(3);
    }),
  );
});

test('the counters of netlink are found by the keys of rules and policies, and by no others', () => {
  const chain = {
    family: 'ip',
    table: 't',
    chain: 'a handle 4',
    policy: 2,
    rules: [
      [7, 3],
      [8, null],
    ],
  };
  const found = parseRuleCounters(JSON.stringify(chain));
  const entries = [
    ['nftables ip t a handle 4 policy', 2n],
    ['nftables ip t a handle 4 handle 7', 3n],
  ] as const;
  expect([...(found ?? [])]).toEqual(entries);
  for (const [key, packets] of entries) {
    expect([found?.get(key), found?.has(key)]).toEqual([packets, true]);
  }
  const uncounted = 'nftables ip t a handle 4 handle 8';
  expect([found?.get(uncounted), found?.has(uncounted)]).toEqual([undefined, true]);
  for (const key of [
    'nftables ip t a handle 4 handle 9',
    'nftables ip t a handle 4',
    'nftables ip t b policy',
    'iptables-legacy ip filter -A INPUT -m comment --comment " handle 7"',
  ]) {
    expect([found?.get(key), found?.has(key)]).toEqual([undefined, false]);
  }
});

test('entries of the JSON of nft, one by one: whatever is in their strings', () => {
  fc.assert(
    fc.property(
      fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { maxLength: 5 }),
      (entries) => {
        const text = JSON.stringify({ nftables: entries });
        const parsed = [...entriesOf(text)].map(([start, end]) => text.slice(start, end));
        expect(parsed).toEqual(entries.map((entry) => JSON.stringify(entry)));
      },
    ),
  );
  expect(() => [...entriesOf('{"nftables": [{"rule": {}}')]).toThrow('does not end well');
  expect(() => [...entriesOf('table ip t {}')]).toThrow('not the JSON of nft');
});
