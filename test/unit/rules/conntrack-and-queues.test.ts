import { describe, expect, test } from 'vitest';
import type { Firewall, FirewallRule } from '../../../checks/firewall.ts';
import { parseNfQueues, type NfQueue } from '../../../checks/nfqueue.ts';
import insertFailed from '../../../rules/netfilter/nf-conntrack-insert-failed.ts';
import invalid from '../../../rules/netfilter/nf-conntrack-invalid.ts';
import rpfilterRule from '../../../rules/netfilter/nf-rpfilter-match.ts';
import nfqueueDrop from '../../../rules/netfilter/nfqueue-drop.ts';
import type { Sampled } from '../../../src/model/check.ts';
import { capture, causesOf, conntrackOf, foreign, sampled, settings, window } from './evidence.ts';

const conntrackRise = (rises: Readonly<Record<string, number>>) =>
  sampled(
    conntrackOf({}, Object.fromEntries(Object.keys(rises).map((name) => [name, 500]))),
    conntrackOf(
      {},
      Object.fromEntries(Object.entries(rises).map(([name, rise]) => [name, 500 + rise])),
    ),
  );

function ruleOf(text: string, packets: bigint | null): FirewallRule {
  return {
    key: text,
    backend: 'nftables',
    tool: 'nft',
    family: 'inet',
    table: 't',
    chain: 'input',
    text,
    owner: null,
    packets,
    hooks: ['input'],
    handle: 3,
    position: 1,
    comment: null,
    verdict: 'drop',
  };
}

function firewallOf(
  text: string,
  /** Null: it does not count. */
  rise: number | null,
  verdict: FirewallRule['verdict'] = 'drop',
): Sampled<Firewall> {
  const at = (packets: bigint | null): Firewall => ({
    rules: [{ ...ruleOf(text, packets), verdict }],
    policies: [],
    packets: new Map(packets === null ? [] : [[text, packets]]),
    unseen: [],
  });
  return rise === null ? sampled(at(null), at(null)) : sampled(at(1000n), at(1000n + BigInt(rise)));
}

describe('nf-conntrack-invalid', () => {
  const judge = (rise: number, firewall?: Sampled<Firewall>, liberal = 0) =>
    causesOf(
      invalid.judge(
        {
          conntrack: conntrackRise({ invalid: rise }),
          firewall,
          sysctl: settings({ 'net.netfilter.nf_conntrack_tcp_be_liberal': liberal }),
        },
        window,
      ),
    );
  const dropsInvalid = (rise: number) =>
    firewallOf('ct state invalid,untracked counter drop', rise);

  test('a rule that drops them: certain, and its packets are counted there', () => {
    expect(judge(100, dropsInvalid(97))).toMatchObject([
      {
        confidence: 'certain',
        packets: 0,
        severityAtMost: 'notice',
        fixes: [{ id: 'be-liberal', steps: [{ from: '0', to: '1' }] }],
      },
    ]);
  });

  test('a rule that counted less than nine tenths of them may have dropped others', () => {
    expect(judge(100, dropsInvalid(90))).toMatchObject([{ confidence: 'certain' }]);
    expect(judge(100, dropsInvalid(89))).toMatchObject([{ confidence: 'possible' }]);
  });

  test('the first reading was of counters only, as on a host with nftables', () => {
    const { first, last } = dropsInvalid(100);
    expect(judge(100, sampled({ ...first, rules: [] }, last))).toMatchObject([
      { confidence: 'certain' },
    ]);
  });

  test.each([
    ['no such rule', firewallOf('tcp dport 22 counter drop', 100), /^No rule drops them/],
    ['rules that could not be read', undefined, /^Unless a rule drops them/],
    [
      'a rule that does not count',
      firewallOf('ct state invalid drop', null),
      /^The rule "ct state invalid drop" is there .* not known/,
    ],
  ])('%s: no fix', (_what, firewall, means) => {
    expect(judge(100, firewall)).toMatchObject([
      { confidence: 'possible', fixes: [], means: expect.stringMatching(means) as string },
    ]);
  });

  test('liberal already: nothing to change', () => {
    expect(judge(100, dropsInvalid(100), 1)).toMatchObject([{ fixes: [] }]);
  });

  test('below ten a second it is noise', () => {
    expect(judge(49)).toEqual([]);
    expect(judge(50)).toHaveLength(1);
  });
});

describe('nf-conntrack-insert-failed', () => {
  const judge = (rises: Readonly<Record<string, number>>, firewall?: Sampled<Firewall>) =>
    causesOf(
      insertFailed.judge({ conntrack: conntrackRise(rises), firewall, drops: undefined }, window),
    );

  test('insert_failed and drop together: certain; NAT is named', () => {
    const nat = firewallOf('oifname "eth0" masquerade', 0, 'none');
    expect(judge({ insert_failed: 16, drop: 16 }, nat)).toMatchObject([
      {
        confidence: 'certain',
        packets: 16,
        means: expect.stringContaining('Source NAT') as string,
        claims: [{ reason: 'NETFILTER_DROP', location: 'nf_hook_slow', packets: 16 }, {}],
      },
    ]);
  });

  test('a full table raises drop alone', () => {
    expect(judge({ insert_failed: 0, drop: 80 })).toEqual([]);
  });

  test('without the counter drop: likely', () => {
    expect(judge({ insert_failed: 3 })).toMatchObject([{ confidence: 'likely', packets: 3 }]);
  });

  test('hash chains that are too long need buckets', () => {
    expect(judge({ insert_failed: 0, chaintoolong: 9 })).toMatchObject([
      { packets: 9, fixes: [{ id: 'more-buckets' }] },
    ]);
  });
});

describe('nf-rpfilter-match', () => {
  const judge = (text: string, rise: number, verdict?: FirewallRule['verdict']) =>
    causesOf(rpfilterRule.judge({ firewall: firewallOf(text, rise, verdict) }, window));

  test.each([
    'fib saddr . iif oif missing counter drop',
    'meta nfproto ipv6 fib saddr . mark . iif oif 0 counter drop',
    '-A PREROUTING -m rpfilter --invert -j DROP',
  ])('%s', (text) => {
    expect(judge(text, 7)).toMatchObject([
      { confidence: 'certain', packets: 0, severityAtMost: 'notice', scope: { rule: text } },
    ]);
    expect(judge(text, 0)).toEqual([]);
  });

  test('other rules about addresses are not', () => {
    expect(judge('fib daddr type local counter drop', 7)).toEqual([]);
    expect(judge('fib saddr . iif oif missing counter accept', 7, 'accept')).toEqual([]);
  });
});

describe('nfqueue-drop', () => {
  const queue: NfQueue = {
    number: 5,
    port: 4711,
    waiting: 1024,
    queueDropped: 10n,
    userDropped: 2n,
    sequence: 1000n,
  };
  const rising = (more: Partial<NfQueue>) =>
    sampled({ queues: [queue] }, { queues: [{ ...queue, ...more }] });

  test('a queue that is full, with those that came through', () => {
    const nfqueue = rising({ queueDropped: 60n, userDropped: 5n, sequence: 1900n });
    expect(
      causesOf(nfqueueDrop.judge({ nfqueue, firewall: undefined, drops: undefined }, window)),
    ).toMatchObject([
      {
        confidence: 'certain',
        packets: 53,
        traffic: { packets: 953 },
        scope: { rule: 'NFQUEUE 5' },
      },
    ]);
  });

  test('nobody listens: only the event tells', () => {
    const drops = capture([{ packets: 40, location: 'nf_queue' }]);
    const judge = (where: typeof window, firewall?: Sampled<Firewall>) =>
      causesOf(nfqueueDrop.judge({ nfqueue: undefined, firewall, drops }, where));
    expect(judge(window)).toMatchObject([{ confidence: 'certain', packets: 40 }]);
    // With tracefs it may have been any namespace's: as many as met a rule of this one.
    expect(judge(foreign)).toEqual([]);
    const rule = firewallOf('-A INPUT -j NFQUEUE --queue-num 7', 30, 'queue');
    expect(judge(foreign, rule)).toMatchObject([
      { packets: 30, scope: { rule: '-A INPUT -j NFQUEUE --queue-num 7' } },
    ]);
  });

  test('a verdict of the program is its work', () => {
    const drops = capture([{ packets: 40, location: 'nf_reinject' }]);
    expect(
      causesOf(nfqueueDrop.judge({ nfqueue: rising({}), firewall: undefined, drops }, window)),
    ).toEqual([]);
  });

  test('the file of the kernel', () => {
    const line = '    5   4711     3 2 65531     7     1      900  1\n';
    expect(parseNfQueues(line)).toEqual({
      status: 'ok',
      value: {
        queues: [
          { number: 5, port: 4711, waiting: 3, queueDropped: 7n, userDropped: 1n, sequence: 900n },
        ],
      },
    });
    expect(parseNfQueues('')).toEqual({ status: 'ok', value: { queues: [] } });
    expect(parseNfQueues('nonsense\n').status).toBe('malformed');
    expect(parseNfQueues(`${line}5 x\n`)).toMatchObject({
      status: 'ok',
      notes: [expect.stringContaining(': 1.') as string],
    });
  });
});
