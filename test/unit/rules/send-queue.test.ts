import { describe, expect, test } from 'vitest';
import type { Qdisc, Qdiscs } from '../../../checks/qdisc.ts';
import aqm from '../../../rules/qdisc/qdisc-aqm.ts';
import linkDown from '../../../rules/qdisc/link-down-tx.ts';
import overlimit from '../../../rules/qdisc/qdisc-overlimit.ts';
import type { Sampled } from '../../../src/model/check.ts';
import { packetsOf, type DropCapture } from '../../../src/model/drops.ts';
import { causesOf, detailsOf, dropped, linkOf, sampled, window } from './evidence.ts';

function queue(of: Partial<Qdisc>): Qdisc {
  return {
    device: 'eth0',
    kind: 'pfifo_fast',
    handle: '0:',
    bytes: 0n,
    packets: 0n,
    dropped: 0n,
    overlimits: 0n,
    requeues: 0n,
    backlogBytes: 0n,
    queueLength: 0n,
    details: new Map(),
    options: {},
    ...of,
  };
}

/** Each as it was and as it is. */
function rising(
  ...queues: readonly (readonly [Partial<Qdisc>, Partial<Qdisc>])[]
): Sampled<Qdiscs> {
  return sampled(
    { qdiscs: queues.map(([first]) => queue(first)) },
    { qdiscs: queues.map(([first, last]) => queue({ ...first, ...last })) },
  );
}

const judged = (qdisc: Sampled<Qdiscs>) =>
  causesOf(overlimit.judge({ qdisc, drops: undefined }, window));

describe('qdisc-overlimit', () => {
  test('a plain queue that overflows: certain, with another queue to try', () => {
    expect(
      judged(
        rising([
          { dropped: 500n, packets: 10n },
          { dropped: 560n, packets: 950n },
        ]),
      ),
    ).toMatchObject([
      {
        confidence: 'certain',
        packets: 60,
        traffic: { packets: 1000 },
        scope: { interface: 'eth0' },
        fixes: [
          { steps: [{ argv: ['tc', 'qdisc', 'replace', 'dev', 'eth0', 'root', 'fq_codel'] }] },
        ],
        claims: [{ interface: 'eth0', packets: 60 }, { packets: 60 }, { packets: 60 }],
      },
    ]);
  });

  test.each([
    ['one in a hundred is how TCP finds the speed of a link', 10n, 'notice'],
    ['more is not', 11n, undefined],
  ])('%s', (_what, dropped, severityAtMost) => {
    const [cause] = judged(rising([{}, { dropped, packets: 1000n - dropped }]));
    expect(cause?.severityAtMost).toBe(severityAtMost);
  });

  test('a total since boot is none', () => {
    expect(judged(rising([{ dropped: 500n, packets: 10n }, { packets: 100n }]))).toEqual([]);
  });

  test('what an active queue drops early is not a full queue', () => {
    const first = { kind: 'fq_codel', details: new Map([['drop_overlimit', 7n]]) };
    expect(judged(rising([first, { dropped: 40n, packets: 100n }]))).toEqual([]);
    const details = new Map([['drop_overlimit', 12n]]);
    expect(judged(rising([first, { dropped: 40n, packets: 100n, details }]))).toMatchObject([
      { packets: 5, rulesOut: [{ id: 'link-down-tx' }, { id: 'qdisc-aqm' }] },
    ]);
  });

  test('the drops of a leaf are counted by its parents: once, and the leaf is named', () => {
    const [cause, ...others] = judged(
      rising(
        [
          { kind: 'htb', handle: '1:', options: {} },
          { dropped: 30n, packets: 70n },
        ],
        [
          { kind: 'pfifo', handle: '10:', parent: '1:10' },
          { dropped: 30n, packets: 20n },
        ],
        [{ kind: 'pfifo', handle: '20:', parent: '1:20' }, { packets: 50n }],
      ),
    );
    expect(others).toEqual([]);
    expect(cause).toMatchObject({ packets: 30, fixes: [{ id: 'raise-rate-eth0' }] });
    expect(cause?.because[1]?.text).toContain('pfifo queue 10: below 1:10');
    expect(cause?.means).toContain('htb');
  });

  test('the class that dropped most of them is named; without one there is none to blame', () => {
    const shaped = (...rises: readonly [bigint, bigint]) => {
      const { first, last } = rising([
        { kind: 'htb', handle: '1:' },
        { dropped: 30n, packets: 70n },
      ]);
      const classes = (dropped: readonly [bigint, bigint]) =>
        new Map([
          [
            'eth0',
            ['1:10', '1:20'].map((id, index) => ({
              id,
              kind: 'htb',
              settings: 'rate 100Kbit',
              dropped: dropped[index] ?? 0n,
            })),
          ],
        ]);
      const before = [7n, 7n] as const;
      return sampled(
        { ...first, classes: classes(before) },
        { ...last, classes: classes([before[0] + rises[0], before[1] + rises[1]]) },
      );
    };
    const [cause] = judged(shaped(2n, 28n));
    expect(cause?.scope).toEqual({ interface: 'eth0', rule: 'htb class 1:20' });
    expect(cause?.because[1]?.text).toBe('28 of them in htb class 1:20 (rate 100Kbit)');
    expect(cause?.means).toContain('its htb class 1:20 lets through (rate 100Kbit)');
    const [shared] = judged(shaped(15n, 15n));
    expect(shared?.scope).toEqual({ interface: 'eth0' });
  });

  test('emulated loss is said to be', () => {
    const [cause] = judged(rising([{ kind: 'netem' }, { dropped: 5n, packets: 995n }]));
    expect(cause?.means).toContain('on purpose');
    expect(cause?.fixes[0]?.id).toBe('remove-netem-eth0');
  });

  test('filters that look like queues are none', () => {
    expect(judged(rising([{ kind: 'clsact', handle: 'ffff:' }, { dropped: 50n }]))).toEqual([]);
  });
});

interface Dead {
  readonly operstate?: string;
  readonly up?: boolean;
  readonly dropped?: bigint;
  readonly sent?: bigint;
}

function deadLink(
  { operstate = 'down', up = true, dropped = 100n, sent = 0n }: Dead,
  more: { qdisc?: Sampled<Qdiscs>; drops?: DropCapture } = {},
) {
  const at = (txDropped: bigint, txPackets: bigint) => ({
    interfaces: new Map([['eth1', linkOf({ operstate, up, txDropped, txPackets })]]),
  });
  const link = sampled(at(50n, 0n), at(50n + dropped, sent));
  return causesOf(linkDown.judge({ link, qdisc: undefined, drops: undefined, ...more }, window));
}

const queryTo = (destination: string): DropCapture => ({
  backend: 'bpf',
  events: 100,
  lost: 0,
  hasReasons: true,
  drops: [
    {
      reason: 'QDISC_DROP',
      location: '__dev_queue_xmit',
      protocol: 0x0800,
      packets: 100,
      edgePackets: 0,
      details: {
        netns: 1,
        ifindex: 3,
        interface: 'eth1',
        ipProtocol: 17,
        topFlows: [{ source: '10.0.0.1', destination, packets: 100 }],
        flowCount: 1,
        flowsApproximate: false,
        samples: [],
        stack: [],
      },
    },
  ],
});

describe('qdisc-aqm', () => {
  const judge = (dropped: bigint, passed: bigint, kind = 'fq_codel') =>
    causesOf(
      aqm.judge(
        { qdisc: rising([{ kind }, { dropped, packets: passed }]), drops: undefined },
        window,
      ),
    );

  test('up to two in a hundred is how TCP learns, more is a line that is too small', () => {
    expect(judge(100n, 4900n)).toEqual([]);
    expect(judge(101n, 4899n)).toMatchObject([
      {
        confidence: 'certain',
        packets: 101,
        traffic: { packets: 5000 },
        severityAtMost: 'notice',
        scope: { interface: 'eth0' },
      },
    ]);
  });

  test.each([
    [6, 'notice', /many connections/],
    [17, 'warning', /do not slow down/],
  ])('IP protocol %i: %s', (ipProtocol, severityAtMost, means) => {
    const drops = dropped(
      'NOT_SPECIFIED',
      '__fq_codel_dequeue',
      400,
      detailsOf({ interface: 'eth0', ipProtocol }),
    );
    const qdisc = rising([{ kind: 'fq_codel' }, { dropped: 400n, packets: 600n }]);
    const [cause] = causesOf(aqm.judge({ qdisc, drops }, window));
    expect(cause).toMatchObject({ severityAtMost });
    expect(cause?.means).toMatch(means);
  });

  test('a handful is none, whatever the share', () => {
    expect(judge(25n, 0n)).toEqual([]);
    expect(judge(26n, 0n)).toHaveLength(1);
  });

  test('look-alike: a plain queue that is full', () => {
    expect(judge(400n, 600n, 'pfifo')).toEqual([]);
  });

  test('below a shaper, its rate is what to look at', () => {
    const tree = rising(
      [
        { kind: 'tbf', handle: '1:' },
        { dropped: 60n, packets: 40n },
      ],
      [
        { kind: 'fq_codel', handle: '2:', parent: '1:1' },
        { dropped: 60n, packets: 40n },
      ],
    );
    const [cause] = causesOf(aqm.judge({ qdisc: tree, drops: undefined }, window));
    expect(cause?.fixes.map(({ id }) => id)).toEqual(['raise-rate-eth0']);
  });
});

describe('link-down-tx', () => {
  test('what is sent into an interface without a link is lost for certain', () => {
    expect(deadLink({})).toMatchObject([
      {
        confidence: 'certain',
        packets: 100,
        scope: { interface: 'eth1' },
        traffic: { packets: 100 },
        claims: [{ reason: ['QDISC_DROP', 'DEV_READY'], interface: 'eth1', packets: 100 }, {}],
      },
    ]);
    expect(deadLink({})[0]?.severityAtMost).toBeUndefined();
  });

  test.each<[string, Dead]>([
    ['a link that is there', { operstate: 'up' }],
    ['a virtual one that has no notion of it', { operstate: 'unknown' }],
    ['an interface that was taken down', { up: false }],
    ['nothing dropped', { dropped: 0n }],
  ])('%s: no finding', (_what, dead) => {
    expect(deadLink(dead)).toEqual([]);
  });

  test('its queue counted drops: there was a link, and the queue was full', () => {
    const qdisc = rising([{ device: 'eth1' }, { dropped: 100n }]);
    expect(deadLink({}, { qdisc })).toEqual([]);
  });

  test('Linux 6.1 does not count them: the drops tell', () => {
    const drops = queryTo('10.0.0.2');
    const [cause] = deadLink({ dropped: 0n }, { drops });
    expect(cause).toMatchObject({
      confidence: 'certain',
      packets: packetsOf(drops.drops),
      because: [{ source: 'skb:kfree_skb' }, {}],
    });
    expect(deadLink({ dropped: 0n }, { drops: queryTo('224.0.0.251') })).toEqual([]);
  });

  test('a link that worked in the window: likely', () => {
    expect(deadLink({ sent: 40n })).toMatchObject([{ confidence: 'likely' }]);
  });

  test('the chatter of an idle interface is none', () => {
    expect(deadLink({ dropped: 25n })).toEqual([]);
    expect(deadLink({ dropped: 26n })).toHaveLength(1);
    expect(deadLink({}, { drops: queryTo('224.0.0.251') })).toEqual([]);
    // Known to be for one host: a few are worth a notice.
    const drops = queryTo('10.0.0.2');
    expect(deadLink({ dropped: 3n }, { drops })).toMatchObject([{ severityAtMost: 'notice' }]);
    expect(deadLink({}, { drops })[0]?.severityAtMost).toBeUndefined();
  });
});
