import { readFileSync } from 'node:fs';

import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import firewall, { type Firewall } from '../../../checks/firewall.ts';
import type { Json } from '../../../checks/firewall/json.ts';
import { parseNftJson, statementsByRule } from '../../../checks/firewall/nftables.ts';
import type { RuleKeys } from '../../../checks/firewall/ruleset.ts';
import { setsOf } from '../../../checks/firewall/sets.ts';
import { armsIn, elementsOf, statementsFor } from '../../../checks/firewall/statements.ts';
import { fakeHost, type FakeMachine } from './fake-host.ts';

const listCommand = 'nft --terse --json list ruleset';
const setsCommand = 'nft --json list sets';
const routes = (type: string) => `ip -j route show table all type ${type}`;

/** Taken on Linux 6.18 with nft 1.0.6 (Debian 12). */
const usual = readFileSync(
  new URL('fixtures/firewall/usual.nft-json.txt', import.meta.url),
  'utf8',
);
const usualMaps = readFileSync(
  new URL('fixtures/firewall/usual.nft-maps-json.txt', import.meta.url),
  'utf8',
);
const usualSets = JSON.stringify({
  nftables: [
    {
      set: {
        family: 'inet',
        name: 'bad',
        table: 'filter',
        type: 'ipv4_addr',
        handle: 6,
        flags: ['interval'],
        elem: [{ prefix: { addr: '10.0.0.0', len: 8 } }, '192.168.1.1'],
      },
    },
    { set: { family: 'inet', name: 'dyn', table: 'filter', type: 'ipv4_addr', handle: 7 } },
  ],
});

const machine: FakeMachine = {
  commands: {
    [listCommand]: usual,
    'nft --json list maps': usualMaps,
    [setsCommand]: usualSets,
    'iptables-nft-save -c': '',
    'ip6tables-nft-save -c': '',
    [routes('local')]:
      '[{"type":"local","dst":"127.0.0.0/8","dev":"lo"},{"type":"local","dst":"fd00::2"},{"type":"local","dst":"default"}]',
    [routes('broadcast')]: '[{"type":"broadcast","dst":"192.0.2.255","dev":"eth0"}]',
  },
};

/** The last reading, and what was asked for it. */
async function read(last: FakeMachine, first = last) {
  const firstHost = fakeHost(first);
  const opening = await firewall.read(firstHost, { phase: 'first', interfaces: [] });
  if (opening.status !== 'ok') throw new Error(opening.reason);
  expect(opening.value.matching).toBeUndefined();
  const asked: string[] = [];
  const host = fakeHost(last);
  const reading = await firewall.read(
    {
      ...host,
      run(argv) {
        asked.push(argv.join(' '));
        return host.run(argv);
      },
    },
    { phase: 'last', first: opening.value, interfaces: [] },
  );
  if (reading.status !== 'ok') throw new Error(reading.reason);
  return { ...reading, asked };
}

function statementsOf({ matching }: Firewall, handle: number) {
  return matching?.statements.get(`nftables inet filter input handle ${handle}`);
}

test('what rules do, as far as it decides where a packet goes', async () => {
  const { value } = await read(machine);
  const [drop, accept] = [
    { kind: 'decision', way: { to: 'drop' } },
    { kind: 'decision', way: { to: 'accept' } },
  ];
  expect(statementsOf(value, 9)).toEqual([
    {
      kind: 'match',
      key: ['ct state'],
      operator: '==',
      right: [['established'], ['related']],
    },
    accept,
  ]);
  expect(statementsOf(value, 15)).toEqual([
    { kind: 'match', key: ['ip saddr'], operator: '==', right: { set: 'bad' } },
    drop,
  ]);
  expect(statementsOf(value, 18)).toEqual([
    {
      kind: 'match',
      key: ['ip saddr'],
      operator: '==',
      right: [
        ['1.2.3.4'],
        [{ prefix: '5.6.7.0', bits: 24 }],
        [{ from: '8.8.8.8', to: '8.8.8.10' }],
      ],
    },
    {
      kind: 'match',
      key: ['tcp dport'],
      operator: '==',
      right: [[80], [443], [{ from: 1000, to: 2000 }]],
    },
    drop,
  ]);
  expect(statementsOf(value, 20)).toEqual([
    {
      kind: 'vmap',
      key: ['tcp dport'],
      arms: [
        { element: [22], way: { to: 'accept' } },
        { element: [23], way: { to: 'drop' } },
      ],
    },
  ]);
  expect(statementsOf(value, 33)).toEqual([{ kind: 'undecidable', text: 'limit rate 3/minute' }]);
  expect(statementsOf(value, 45)).toEqual([
    { kind: 'decision', way: { to: 'jump', chain: 'user' } },
  ]);
  expect(statementsOf(value, 51)).toEqual([
    { kind: 'match', key: ['ip saddr', 'tcp dport'], operator: '==', right: [['1.1.1.1', 22]] },
    drop,
  ]);
  expect(statementsOf(value, 60)).toEqual([]);
});

test('what each of many rules does, whatever characters are in their comments', async () => {
  const rules = Array.from({ length: 1100 }, (_, index) => ({
    rule: {
      family: 'inet',
      table: 'filter',
      chain: 'input',
      handle: index,
      comment: '🧱'.repeat(index % 3),
      expr: [{ jump: { target: `to${index}` } }],
    },
  }));
  const listing = await parseNftJson(JSON.stringify({ nftables: rules }));
  if (listing === undefined) throw new Error('no listing');
  const statements = await statementsByRule(listing);
  for (const { rule } of rules) {
    expect(statements.get(`nftables inet filter input handle ${rule.handle}`)).toEqual([
      { kind: 'decision', way: { to: 'jump', chain: `to${rule.handle}` } },
    ]);
  }
});

test('elements of sets; those that rules put in or that have a timeout may go', async () => {
  const { value } = await read(machine);
  expect(value.matching?.sets).toEqual(
    new Map([
      [
        'inet filter bad',
        { elements: [[{ prefix: '10.0.0.0', bits: 8 }], ['192.168.1.1']], changing: false },
      ],
      ['inet filter dyn', { elements: [], changing: true }],
    ]),
  );
});

test('addresses of the namespace, of both versions', async () => {
  const { value } = await read(machine);
  expect(value.matching?.addresses).toEqual({
    local: [
      { prefix: '127.0.0.0', bits: 8 },
      'fd00::2',
      { prefix: '0.0.0.0', bits: 0 },
      { prefix: '::', bits: 0 },
    ],
    broadcast: ['192.0.2.255'],
  });
});

test('base chains have a priority, and say if they translate', async () => {
  const { value } = await read(machine);
  expect(value.policies.find(({ chain }) => chain === 'post')).toMatchObject({
    priority: 100,
    translates: true,
  });
  expect(value.policies.find(({ chain }) => chain === 'input')?.translates).toBeUndefined();
});

test('asked for only where a rule does not count', async () => {
  const matchingCommands = [setsCommand, routes('local'), routes('broadcast')];
  expect((await read(machine)).asked).toEqual(expect.arrayContaining(matchingCommands));

  const table = { family: 'ip', table: 't' };
  const counted = JSON.stringify({
    nftables: [
      { chain: { ...table, name: 'c', hook: 'input', prio: 0, policy: 'accept' } },
      {
        rule: {
          ...table,
          chain: 'c',
          handle: 1,
          expr: [{ counter: { packets: 1 } }, { drop: null }],
        },
      },
    ],
  });
  const { value, asked } = await read({
    commands: { ...machine.commands, [listCommand]: counted },
  });
  expect(value.matching).toBeUndefined();
  expect(asked.filter((command) => matchingCommands.includes(command))).toEqual([]);
});

test('sets or addresses that nobody can tell: known to be unknown, with a note', async () => {
  const { value, notes } = await read({
    commands: { ...machine.commands, [setsCommand]: 'rubbish', [routes('local')]: 'rubbish' },
  });
  expect(value.matching?.sets.size).toBe(0);
  expect(value.matching?.addresses).toBeUndefined();
  expect(notes?.join('\n')).toMatch(/Sets: .*\n*Local addresses: /);
});

test('rules that came, and rules whose last counter stood still, wherever in the rule it stands', async () => {
  const table = { family: 'ip', table: 't' };
  const netlink = (...rules: readonly (readonly [number, number | null])[]) => ({
    'whydrop-rule-counters': JSON.stringify({ ...table, chain: 'c', policy: null, rules }),
  });
  const rule = (handle: number, ...expr: readonly object[]) => ({
    rule: { ...table, chain: 'c', handle, expr: [...expr, { drop: null }] },
  });
  const counter = { counter: { packets: 7, bytes: 0 } };
  const match = { match: { op: '==', left: { meta: { key: 'mark' } }, right: 1 } };
  const list = (...rules: readonly object[]) => ({
    [listCommand]: JSON.stringify({
      nftables: [{ chain: { ...table, name: 'c', hook: 'input', prio: 0 } }, ...rules],
    }),
  });
  const handlesIn = (keys: RuleKeys | undefined) =>
    [1, 2, 3, 4, 5].filter((handle) => keys?.has(`nftables ip t c handle ${handle}`));
  const rules = [rule(1, counter, match), rule(2, counter, match), rule(3, match)];
  const { value } = await read(
    { commands: { ...netlink([1, 7], [2, 9], [3, null], [4, null]), ...list(...rules, rule(4)) } },
    { commands: { ...netlink([1, 7], [2, 7], [3, null]), ...list(...rules) } },
  );
  expect(value.rules.map(({ packets }) => packets)).toEqual([null, null, null, null]);
  const { matching } = value;
  expect(value.rules.filter(({ key }) => matching?.added.has(key))).toMatchObject([{ handle: 4 }]);
  expect(handlesIn(matching?.untouched)).toEqual([1]);
  // Without netlink only counters of a verdict are compared.
  const { value: listed } = await read(
    { commands: list(...rules, rule(4), rule(5, counter)) },
    { commands: list(...rules, rule(5, counter)) },
  );
  expect(listed.rules.filter(({ key }) => listed.matching?.added.has(key))).toMatchObject([
    { handle: 4 },
  ]);
  expect(handlesIn(listed.matching?.untouched)).toEqual([5]);
});

test('statements, elements and arms of any shape are never more than undecided', async () => {
  const names = [
    'match',
    'vmap',
    'drop',
    'jump',
    'goto',
    'set',
    'elem',
    'concat',
    'range',
    'prefix',
  ];
  const { anything } = fc.letrec<{ anything: Json }>((tie) => ({
    anything: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom('ip saddr', '@set', '*', '==', 'in'),
      fc.jsonValue() as fc.Arbitrary<Json>,
      fc.array(tie('anything'), { maxLength: 3 }),
      fc.dictionary(
        fc.constantFrom(
          ...names,
          'op',
          'left',
          'right',
          'key',
          'data',
          'val',
          'addr',
          'len',
          'target',
        ),
        tie('anything'),
        { maxKeys: 3 },
      ),
    ),
  }));
  await fc.assert(
    fc.asyncProperty(fc.array(anything, { maxLength: 4 }), async (list) => {
      const arms = armsIn(list);
      for (const statement of statementsFor(list, () => arms)) {
        expect(['match', 'vmap', 'decision', 'undecidable']).toContain(statement.kind);
      }
      expect([undefined, list.length]).toContain(elementsOf(list)?.length);
      const listing = await parseNftJson(
        JSON.stringify({
          nftables: [
            { set: { elem: list, flags: list } },
            { rule: { family: 'ip', table: 't', chain: 'c', handle: 1, expr: list } },
          ],
        }),
      );
      expect(listing && setsOf(listing.sets, new Set()).size).toBeLessThanOrEqual(1);
      expect(
        listing && (await statementsByRule(listing)).get('nftables ip t c handle 1'),
      ).toBeInstanceOf(Array);
    }),
  );
});
