import { readFileSync } from 'node:fs';

import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import firewall, { type Firewall } from '../../../checks/firewall.ts';
import type { Json } from '../../../checks/firewall/json.ts';
import { parseNftJson } from '../../../checks/firewall/nftables.ts';
import { setsOf } from '../../../checks/firewall/sets.ts';
import { armsIn, elementsOf, statementsFor } from '../../../checks/firewall/statements.ts';
import type { Phase } from '../../../src/model/host.ts';
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

async function read(of: FakeMachine, phase: Phase = 'last') {
  const asked: string[] = [];
  const host = fakeHost(of);
  const reading = await firewall.read(
    {
      ...host,
      run(argv) {
        asked.push(argv.join(' '));
        return host.run(argv);
      },
    },
    { phase: phase === 'first' ? 'first' : 'last', interfaces: [] },
  );
  if (reading.status !== 'ok') throw new Error(reading.reason);
  return { ...reading, asked };
}

function statementsIn({ matching }: Firewall, handle: number) {
  return matching?.statements.get(`nftables inet filter input handle ${handle}`);
}

test('what rules do, as far as it decides where a packet goes', async () => {
  const { value } = await read(machine);
  const [drop, accept] = [
    { kind: 'decision', way: { to: 'drop' } },
    { kind: 'decision', way: { to: 'accept' } },
  ];
  expect(statementsIn(value, 9)).toEqual([
    {
      kind: 'match',
      key: ['ct state'],
      operator: '==',
      right: [['established'], ['related']],
    },
    accept,
  ]);
  expect(statementsIn(value, 15)).toEqual([
    { kind: 'match', key: ['ip saddr'], operator: '==', right: { set: 'bad' } },
    drop,
  ]);
  expect(statementsIn(value, 18)).toEqual([
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
  expect(statementsIn(value, 20)).toEqual([
    {
      kind: 'vmap',
      key: ['tcp dport'],
      arms: [
        { element: [22], way: { to: 'accept' } },
        { element: [23], way: { to: 'drop' } },
      ],
    },
  ]);
  expect(statementsIn(value, 33)).toEqual([{ kind: 'undecidable', text: 'limit rate 3/minute' }]);
  expect(statementsIn(value, 45)).toEqual([
    { kind: 'decision', way: { to: 'jump', chain: 'user' } },
  ]);
  expect(statementsIn(value, 51)).toEqual([
    { kind: 'match', key: ['ip saddr', 'tcp dport'], operator: '==', right: [['1.1.1.1', 22]] },
    drop,
  ]);
  expect(statementsIn(value, 60)).toEqual([]);
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

test('read once, at the end, and only for rules that do not count', async () => {
  const matchingCommands = [setsCommand, routes('local'), routes('broadcast')];
  const first = await read(machine, 'first');
  expect(first.value.matching).toBeUndefined();
  expect(first.asked).not.toEqual(expect.arrayContaining([setsCommand]));
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

test('the last counter of a rule bounds what met its verdict, wherever it stands', async () => {
  const { value } = await read(machine);
  const byHandle = (handle: number) =>
    value.rules.find((rule) => rule.chain === 'input' && rule.handle === handle);
  // counter packets 0 bytes 0 ip daddr 224.0.0.0/4 drop
  expect(byHandle(35)).toMatchObject({ packets: null, reached: 0n });
  expect(byHandle(15)).toMatchObject({ packets: 5n, reached: 5n });
  expect(byHandle(38)).toMatchObject({ packets: null, reached: null });
});

test('statements, elements and arms of any shape are never more than undecided', () => {
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
  fc.assert(
    fc.property(fc.array(anything, { maxLength: 4 }), (list) => {
      const arms = armsIn(list);
      for (const statement of statementsFor(list, () => arms)) {
        expect(['match', 'vmap', 'decision', 'undecidable']).toContain(statement.kind);
      }
      expect([undefined, list.length]).toContain(elementsOf(list)?.length);
      const listing = parseNftJson(
        JSON.stringify({
          nftables: [{ set: { elem: list, flags: list } }, { rule: { expr: list } }],
        }),
      );
      expect(listing && setsOf(listing.sets, listing).size).toBeLessThanOrEqual(1);
    }),
  );
});
