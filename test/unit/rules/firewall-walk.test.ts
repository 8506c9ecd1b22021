import { expect, test } from 'vitest';

import type { Family, FirewallPolicy, Hook } from '../../../checks/firewall.ts';
import type { Json } from '../../../checks/firewall/json.ts';
import { matchingOf } from '../../../checks/firewall/matching.ts';
import { nftFirewall, parseNftJson, statementsByRule } from '../../../checks/firewall/nftables.ts';
import { packetsOf } from '../../../checks/firewall/ruleset.ts';
import { conditionText } from '../../../rules/netfilter/match/condition-text.ts';
import type { Packet } from '../../../rules/netfilter/match/packet.ts';
import { PLACES, type Place } from '../../../rules/netfilter/match/places.ts';
import { walkerOf } from '../../../rules/netfilter/match/walk.ts';

const packet: Packet = {
  etherType: 0x0800,
  ipProtocol: 17,
  source: 0x0a4d0001,
  destination: 0x0a4d0002,
  ports: { source: 4000, destination: 5000 },
  interface: 'eth0',
  ctStates: new Set(['new', 'established']),
  sourceTypes: new Set(['unicast']),
  destinationTypes: new Set(['local']),
  isHere: true,
};

const port = (number: number): Json => ({
  match: { op: '==', left: { payload: { protocol: 'udp', field: 'dport' } }, right: number },
});
const [yes, no] = [port(5000), port(53)];
const unknown: Json = { match: { op: 'in', left: { ct: { key: 'state' } }, right: 'new' } };
const invalid: Json = {
  match: { op: 'in', left: { ct: { key: 'state' } }, right: 'invalid' },
};
const limit: Json = { limit: { rate: 5, per: 'second' } };
const [drop, accept, leave]: readonly Json[] = [{ drop: null }, { accept: null }, { return: null }];
const jump = (target: string): Json => ({ jump: { target } });
const goto = (target: string): Json => ({ goto: { target } });
const counted = (packets: number): Json => ({ counter: { packets, bytes: 0 } });

interface Chain {
  /** Default: inet. */
  readonly family?: Family;
  readonly hook?: Hook;
  readonly devices?: readonly string[];
  readonly prio?: number;
  readonly policy?: 'drop' | 'accept';
  readonly type?: 'nat';
  /** Each a list of statements. */
  readonly rules: readonly (readonly (Json | undefined)[])[];
}

type Chains = Readonly<Record<string, Chain>>;

const input = { hook: 'input', prio: 0, policy: 'accept' } as const;

async function read(chains: Chains) {
  const listing = await parseNftJson(
    JSON.stringify({
      nftables: Object.entries(chains).flatMap(([name, { rules, family = 'inet', ...chain }]) => [
        { chain: { family, table: 't', name, ...chain } },
        ...rules.map((expr, index) => ({
          rule: { family, table: 't', chain: name, handle: index + 1, expr },
        })),
      ]),
    }),
  );
  if (listing === undefined) throw new Error('no listing');
  const statements = await statementsByRule(listing);
  const { rules, policies } = nftFirewall(listing, new Set());
  // Netlink tells the devices.
  const bound = policies.map((chain): FirewallPolicy => {
    const devices = chains[chain.chain]?.devices;
    return { ...chain, ...(devices && { devices }) };
  });
  const tables = { rules, policies: bound };
  return { tables, matchable: { statements, sets: new Map() } };
}

/** `chain handle`, or `chain policy`, each with what is undecided. */
async function candidates(
  last: Chains,
  first = last,
  steps?: number,
  ofPacket: Packet = packet,
  places: readonly Place[] = ['prerouting', 'input'],
): Promise<readonly string[] | undefined> {
  const [{ tables: before }, { tables, matchable }] = [await read(first), await read(last)];
  const firewall = { ...tables, packets: packetsOf(tables), unseen: [] };
  const known = new Set(before.rules.map(({ key }) => key));
  const matching = matchingOf(matchable, { known, packets: packetsOf(before) }, firewall.packets);
  const walker = walkerOf({ ...firewall, matching }, steps);
  return walker?.(ofPacket, places)?.map(({ entry, undecided }) =>
    [
      entry.chain,
      'handle' in entry ? entry.handle : 'policy',
      ...(undecided.length > 0
        ? [`(${undecided.map((statement) => conditionText(statement)).join(', ')})`]
        : []),
    ].join(' '),
  );
}

const state = 'ct state new';

test.each<[string, Chains, readonly string[]]>([
  [
    'the first that matches',
    { c: { ...input, rules: [[no, drop], [yes, drop], [drop]] } },
    ['c 2'],
  ],
  [
    'the policy, when nothing matches',
    { c: { ...input, policy: 'drop', rules: [[no, drop]] } },
    ['c policy'],
  ],
  [
    'nobody behind a sure accept',
    { c: { ...input, policy: 'drop', rules: [[yes, accept], [drop]] } },
    [],
  ],
  [
    'an accept that is undecided ends nothing',
    {
      c: {
        ...input,
        policy: 'drop',
        rules: [
          [unknown, accept],
          [no, drop],
        ],
      },
    },
    ['c policy'],
  ],
  [
    'an undecided rule, and all behind it',
    {
      c: {
        ...input,
        policy: 'drop',
        rules: [
          [unknown, drop],
          [yes, limit, drop],
        ],
      },
    },
    [`c 1 (${state})`, 'c 2 (limit rate 5/second)', 'c policy'],
  ],
  [
    'what an unknown statement decides',
    { c: { ...input, rules: [[{ teleport: 1 }, drop]] } },
    ['c 1 ({"teleport":1})'],
  ],
  ['a reject', { c: { ...input, rules: [[yes, { reject: null }]] } }, ['c 1']],
  [
    'translated and queued packets go on elsewhere',
    { c: { ...input, rules: [[yes, { queue: { num: 1 } }], [drop]] } },
    [],
  ],
  [
    'a jump comes back',
    { c: { ...input, rules: [[yes, jump('d')], [drop]] }, d: { rules: [[no, drop]] } },
    ['c 2'],
  ],
  [
    'a goto does not',
    {
      c: { ...input, policy: 'drop', rules: [[yes, goto('d')], [drop]] },
      d: { rules: [[no, drop]] },
    },
    ['c policy'],
  ],
  [
    'a chain that ends it ends it for the caller',
    { c: { ...input, rules: [[jump('d')], [drop]] }, d: { rules: [[accept]] } },
    [],
  ],
  [
    'a return leaves the chain, not the caller',
    { c: { ...input, rules: [[jump('d')], [drop]] }, d: { rules: [[yes, leave], [drop]] } },
    ['c 2'],
  ],
  [
    'a return from a base chain meets the policy',
    { c: { ...input, policy: 'drop', rules: [[leave], [drop]] } },
    ['c policy'],
  ],
  [
    'an undecided jump: both ways, and the rule there is undecided as well',
    { c: { ...input, rules: [[unknown, jump('d')], [drop]] }, d: { rules: [[drop]] } },
    [`d 1 (${state})`, 'c 2'],
  ],
  [
    'the arm of a verdict map',
    {
      c: {
        ...input,
        rules: [
          [
            {
              vmap: {
                key: { payload: { protocol: 'udp', field: 'dport' } },
                data: {
                  set: [
                    [53, accept ?? null],
                    [{ range: [4000, 6000] }, goto('d')],
                    ['*', drop ?? null],
                  ],
                },
              },
            },
          ],
          [drop],
        ],
      },
      d: { rules: [[drop]] },
    },
    ['d 1'],
  ],
  [
    'what no arm is for, without another rule',
    {
      c: {
        ...input,
        rules: [
          [
            {
              vmap: {
                key: { payload: { protocol: 'udp', field: 'dport' } },
                data: { set: [[53, drop ?? null]] },
              },
            },
          ],
          [drop],
        ],
      },
    },
    ['c 2'],
  ],
  [
    'arms that cannot be decided',
    {
      c: {
        ...input,
        policy: 'drop',
        rules: [
          [
            {
              vmap: {
                key: { ct: { key: 'state' } },
                data: {
                  set: [
                    ['established', accept ?? null],
                    ['invalid', drop ?? null],
                    ['new', jump('d')],
                  ],
                },
              },
            },
          ],
        ],
      },
      d: { rules: [[drop]] },
    },
    ['d 1 (ct state vmap)', 'c policy'],
  ],
  [
    'a verdict map nobody could read',
    { c: { ...input, rules: [[{ vmap: { key: { ct: { key: 'state' } }, data: '@m' } }], [drop]] } },
    ['c 2'],
  ],
  [
    'an earlier base chain that surely refuses it',
    {
      late: { ...input, policy: 'drop', rules: [] },
      early: { ...input, prio: -1, rules: [[yes, drop]] },
    },
    ['early 1'],
  ],
  [
    'an earlier base chain that may accept it',
    {
      late: { ...input, policy: 'drop', rules: [] },
      early: { ...input, prio: -1, rules: [[unknown, accept], [drop]] },
    },
    ['early 2', 'late policy'],
  ],
  [
    'of two at one priority the order is not known',
    { a: { ...input, rules: [[drop]] }, b: { ...input, rules: [[drop]] } },
    ['a 1', 'b 1'],
  ],
  [
    'an accept is for its base chain only',
    { late: { ...input, rules: [[drop]] }, early: { ...input, prio: -1, rules: [[accept]] } },
    ['late 1'],
  ],
  [
    'prerouting comes before input',
    {
      pre: { ...input, hook: 'prerouting', rules: [[yes, drop]] },
      c: { ...input, policy: 'drop', rules: [] },
    },
    ['pre 1'],
  ],
  [
    'but addresses may change between',
    {
      pre: { ...input, hook: 'prerouting', rules: [[yes, drop]] },
      nat: { ...input, hook: 'prerouting', type: 'nat', rules: [] },
      c: { ...input, policy: 'drop', rules: [] },
    },
    ['pre 1', 'c policy'],
  ],
  [
    'every packet is invalid where connection tracking has not been yet',
    {
      raw: { ...input, hook: 'prerouting', prio: -300, rules: [[invalid, drop]] },
      mangle: { ...input, hook: 'prerouting', prio: -150, rules: [[invalid, drop]] },
    },
    ['raw 1 (ct state invalid)'],
  ],
  [
    'a chain that calls itself, as no kernel allows',
    { c: { ...input, policy: 'drop', rules: [[jump('c')]] } },
    ['c policy'],
  ],
])('who can have refused it: %s', async (_, chains, expected) => {
  expect(await candidates(chains)).toEqual(expected);
});

const ingress = { family: 'netdev', hook: 'ingress', prio: 0, policy: 'accept' } as const;
const atBridge = { ...input, family: 'bridge' } as const;
const arp: Packet = { ...packet, etherType: 0x0806 };
const { interface: _, ...anywhere } = packet;

test.each<[string, Packet, Chains, readonly string[]]>([
  [
    'the chain of its device',
    packet,
    {
      c: { ...ingress, devices: ['eth0', 'eth1'], rules: [[drop]] },
      d: { ...ingress, devices: ['eth2'], rules: [[drop]] },
      e: { ...ingress, devices: ['eth*'], rules: [[no, drop]] },
    },
    ['c 1'],
  ],
  [
    'none of another device',
    packet,
    { c: { ...ingress, devices: ['eth1'], policy: 'drop', rules: [] } },
    [],
  ],
  [
    'devices that nobody could tell, or a packet without one, decide nothing for sure',
    anywhere,
    {
      c: { ...ingress, devices: ['eth1', 'eth2'], rules: [[drop]] },
      d: { ...ingress, policy: 'drop', rules: [] },
      e: { ...input, policy: 'drop', rules: [] },
    },
    ['c 1 (device eth1, eth2)', 'd policy (device of the chain)', 'e policy'],
  ],
  [
    'ingress comes before the IP layer',
    packet,
    {
      c: { ...input, policy: 'drop', rules: [] },
      d: { ...ingress, devices: ['eth0'], rules: [[yes, drop]] },
    },
    ['d 1'],
  ],
  [
    'but it is another device by which a packet leaves',
    packet,
    {
      c: { ...input, hook: 'postrouting', policy: 'drop', rules: [] },
      d: { ...ingress, devices: ['eth0'], rules: [[yes, drop]] },
    },
    ['d 1', 'c policy'],
  ],
  [
    'every packet is invalid at a device',
    packet,
    { c: { ...ingress, devices: ['eth0'], rules: [[invalid, drop]] } },
    ['c 1 (ct state invalid)'],
  ],
  [
    'ARP meets rules of its own, and those for all frames',
    arp,
    {
      c: { ...input, family: 'arp', policy: 'drop', rules: [] },
      d: { ...input, policy: 'drop', rules: [] },
      e: { ...atBridge, policy: 'drop', rules: [] },
    },
    ['e policy', 'c policy'],
  ],
  [
    'IP meets no rule of ARP',
    packet,
    { c: { ...input, family: 'arp', policy: 'drop', rules: [] } },
    [],
  ],
])('wherever it was: %s', async (_, ofPacket, chains, expected) => {
  expect(await candidates(chains, chains, undefined, ofPacket, PLACES)).toEqual(expected);
});

test('hooks of a bridge are other places than those of the IP layer', async () => {
  const chains: Chains = {
    c: { ...atBridge, policy: 'drop', rules: [] },
    d: { ...input, policy: 'drop', rules: [] },
  };
  const at = (place: Place) => candidates(chains, chains, undefined, packet, [place]);
  expect(await at('bridge input')).toEqual(['c policy']);
  expect(await at('input')).toEqual(['d policy']);
});

test('a rule whose counter stood still refused nothing, nor led anywhere', async () => {
  const chains = (moved: number): Chains => ({
    c: {
      ...input,
      policy: 'drop',
      rules: [
        [counted(7), drop],
        [counted(7), jump('d')],
        [yes, counted(moved), drop],
      ],
    },
    d: { rules: [[drop]] },
  });
  expect(await candidates(chains(9), chains(7))).toEqual(['c 3']);
  expect(await candidates(chains(7), chains(7))).toEqual(['c policy']);
});

test('a rule that came meanwhile is no sure end', async () => {
  const before: Chains = { c: { ...input, policy: 'drop', rules: [[no, drop]] } };
  const after: Chains = {
    c: {
      ...input,
      policy: 'drop',
      rules: [
        [no, drop],
        [yes, accept],
        [yes, drop],
      ],
    },
  };
  expect(await candidates(after, before)).toEqual(['c 3 (it came while measuring)', 'c policy']);
});

test('work is bounded, and no answer is given then', async () => {
  const long: Chains = { c: { ...input, rules: Array.from({ length: 100 }, () => [no, drop]) } };
  expect(await candidates(long, long, 100)).toEqual([]);
  expect(await candidates(long, long, 99)).toBeUndefined();
});

test('chains that call one another over and over do not hang', async () => {
  const twice = (target: string) => ({
    rules: [
      [unknown, jump(target)],
      [unknown, jump(target)],
    ],
  });
  const chains: Chains = {
    c: { ...input, ...twice('c1') },
    ...Object.fromEntries(
      Array.from({ length: 16 }, (_, index) => [`c${index + 1}`, twice(`c${index + 2}`)]),
    ),
    c17: { rules: [[drop]] },
  };
  expect(await candidates(chains, chains, 1000)).toBeUndefined();
});
