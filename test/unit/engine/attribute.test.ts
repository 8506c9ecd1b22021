import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { attribute } from '../../../src/engine/attribute.ts';
import type { DropCount, DropDetails } from '../../../src/model/drops.ts';
import type { Claim, Finding } from '../../../src/model/rule.ts';
import { benign, captureOf, cause, ruleOf } from './scripted.ts';

interface Outcome {
  /** In the order of the findings. */
  readonly claimed: readonly number[];
  readonly unexplained: number;
  readonly elsewhere: number;
}

function share(
  findings: readonly Finding[],
  drops: readonly Partial<DropCount>[],
  several = false,
): Outcome {
  const judged = findings.map((finding) => ({ rule: ruleOf('r', []), finding }));
  const { claimed, unexplained, elsewhere } = attribute(judged, captureOf(drops), { several });
  const sum = (parts: readonly DropCount[]) => parts.reduce((all, { packets }) => all + packets, 0);
  return {
    claimed: findings.map((finding) => claimed.get(finding) ?? 0),
    unexplained: sum(unexplained),
    elsewhere: sum(elsewhere),
  };
}

const any = { claims: [{}] };
const upTo = (packets: number) => ({ claims: [{ packets }] });

test('no capture: nothing to give away', () => {
  const finding = cause(any);
  const { claimed, unexplained } = attribute([{ rule: ruleOf('r', []), finding }], undefined, {
    several: false,
  });
  expect([claimed.get(finding) ?? 0, unexplained]).toEqual([0, []]);
});

test('each drop belongs to one finding, and what nobody claims is unexplained', () => {
  const first = cause(upTo(4));
  const second = cause(upTo(3));
  expect(share([first, second], [{ packets: 10 }])).toEqual({
    claimed: [4, 3],
    unexplained: 3,
    elsewhere: 0,
  });
});

test('what is left keeps its reason, location and protocol', () => {
  const finding = cause({ claims: [{ reason: 'A', packets: 1 }] });
  const { unexplained } = attribute(
    [{ rule: ruleOf('r', []), finding }],
    captureOf([
      { reason: 'A', packets: 3 },
      { reason: 'B', location: 'f', module: 'm', protocol: 0x86dd, packets: 2 },
    ]),
    { several: false },
  );
  expect(unexplained).toMatchObject([
    { reason: 'A', packets: 2 },
    { reason: 'B', location: 'f', module: 'm', protocol: 0x86dd, packets: 2 },
  ]);
});

test('certain before likely before possible, in whatever order the rules came', () => {
  const findings = [
    cause({ ...upTo(6), confidence: 'possible' }),
    cause({ ...upTo(6), confidence: 'likely' }),
    cause({ ...upTo(6), confidence: 'certain' }),
  ];
  expect(share(findings, [{ packets: 10 }]).claimed).toEqual([0, 4, 6]);
});

test('a known number before an open claim of the same confidence', () => {
  const findings = [cause(any), cause(upTo(6))];
  expect(share(findings, [{ packets: 10 }]).claimed).toEqual([4, 6]);
});

test('causes before benign patterns, however unsure and however open', () => {
  const findings = [benign(upTo(6)), cause({ ...any, confidence: 'possible' })];
  expect(share(findings, [{ packets: 10 }]).claimed).toEqual([0, 10]);
  const limited = [benign(any), cause({ ...upTo(6), confidence: 'possible' })];
  expect(share(limited, [{ packets: 10 }]).claimed).toEqual([4, 6]);
});

test('packets at the edges may be missing in the counter, but others may not', () => {
  const drop = { packets: 10, edgePackets: 3 };
  expect(share([cause(upTo(6))], [drop])).toMatchObject({ claimed: [9], unexplained: 1 });
  // All of them were counted.
  expect(share([cause(upTo(10))], [drop])).toMatchObject({ claimed: [10], unexplained: 0 });
});

test('two counters share the edges: nobody takes what another one counted', () => {
  const drop = { packets: 15, edgePackets: 5 };
  expect(share([cause(upTo(10)), cause(upTo(5))], [drop]).claimed).toEqual([10, 5]);
  expect(share([cause(upTo(6)), cause(upTo(2))], [drop])).toMatchObject({
    claimed: [11, 2],
    unexplained: 2,
  });
});

test('edges of other drops are no excuse', () => {
  const finding = cause({ claims: [{ reason: 'A', packets: 2 }] });
  const drops = [
    { reason: 'A', packets: 5 },
    { reason: 'B', packets: 9, edgePackets: 9 },
  ];
  expect(share([finding], drops)).toMatchObject({ claimed: [2], unexplained: 12 });
});

test('a claim of no packets takes none, not even at the edges', () => {
  expect(share([cause(upTo(0))], [{ packets: 4, edgePackets: 4 }])).toMatchObject({
    claimed: [0],
    unexplained: 4,
  });
});

test('several namespaces: what no counter of this one accounts for is elsewhere', () => {
  expect(share([cause(upTo(4))], [{ packets: 10 }], true)).toEqual({
    claimed: [4],
    unexplained: 0,
    elsewhere: 6,
  });
});

test.each([
  ['everything', {}, 6],
  ['a reason', { reason: 'A' }, 2],
  ['one of several reasons', { reason: ['A', 'B'] }, 5],
  ['no reason (old kernels)', { reason: null }, 1],
  ['a location', { location: 'f' }, 3],
  ['one of several locations', { location: ['f', 'g'] }, 5],
  ['a protocol', { protocol: 0x86dd }, 3],
  ['one of several protocols', { protocol: [0x86dd, 0x0806] }, 4],
  ['all of them at once', { reason: 'A', location: 'f', protocol: 0x86dd }, 0],
  ['none of the reasons', { reason: [] }, 0],
])('a claim of %s', (_, claim, packets) => {
  const drops = [
    { reason: 'A', location: 'f', protocol: 0x0800, packets: 2 },
    { reason: 'B', location: 'g', protocol: 0x86dd, packets: 2 },
    { reason: 'B', location: 'f', protocol: 0x86dd, packets: 1 },
    { reason: null, location: 'h', protocol: 0x0806, packets: 1 },
  ];
  expect(share([cause({ claims: [claim] })], drops).claimed).toEqual([packets]);
});

test('a finding with several claims gets the sum', () => {
  const claims = [
    { reason: 'A', packets: 1 },
    { reason: 'B', packets: 2 },
  ];
  const drops = [
    { reason: 'A', packets: 9 },
    { reason: 'B', packets: 9 },
  ];
  expect(share([cause({ claims })], drops).claimed).toEqual([3]);
});

test('packets are conserved: every captured one is given away exactly once', () => {
  const reason = fc.constantFrom('A', 'B', null);
  const location = fc.constantFrom('f', 'g');
  const protocol = fc.constantFrom(0x0800, 0x86dd);
  const drop = fc
    .record({
      reason,
      location,
      protocol,
      packets: fc.nat(100),
      edge: fc.double({ min: 0, max: 1, noNaN: true }),
    })
    .map(({ edge, ...rest }) => ({ ...rest, edgePackets: Math.floor(edge * rest.packets) }));
  const claim = fc.record(
    {
      reason: fc.oneof(reason, fc.array(fc.constantFrom('A', 'B'))),
      location,
      protocol,
      packets: fc.nat(150),
    },
    { requiredKeys: [] },
  );
  const claims = fc.array(claim, { maxLength: 4 });
  const finding: fc.Arbitrary<Finding> = fc.oneof(
    claims.map((claims) => benign({ claims })),
    fc
      .tuple(claims, fc.constantFrom('certain', 'likely', 'possible'))
      .map(([claims, confidence]) => cause({ claims, confidence })),
  );
  fc.assert(
    fc.property(
      fc.array(finding, { maxLength: 6 }),
      fc.array(drop, { maxLength: 6 }),
      fc.boolean(),
      (findings, drops, several) => {
        const { claimed, unexplained, elsewhere } = share(findings, drops, several);
        const given = claimed.reduce((sum, packets) => sum + packets, 0);
        const captured = drops.reduce((sum, { packets }) => sum + packets, 0);
        expect(given + unexplained + elsewhere).toBe(captured);
        expect(several ? unexplained : elsewhere).toBe(0);
        for (const [index, { claims }] of findings.entries()) {
          // More than its counters say only by what lies at the edges.
          const limits = claims.map(({ packets = Infinity }) => packets);
          const edges = drops.reduce((sum, { edgePackets }) => sum + edgePackets, 0);
          const limit = limits.reduce((sum, packets) => sum + packets, 0) + edges;
          expect(claimed[index]).toBeLessThanOrEqual(limit);
          expect(claimed[index]).toBeGreaterThanOrEqual(0);
        }
      },
    ),
  );
});

describe('what only the BPF capture tells', () => {
  const details: DropDetails = {
    netns: 1,
    ifindex: 2,
    interface: 'eth0',
    ipProtocol: 17,
    topFlows: [],
    flowCount: 0,
    flowsApproximate: false,
    samples: [],
    stack: ['kfree_skb_list_reason', 'icmp_rcv'],
  };

  test('a claim that fits many drops leaves those to others that fit nothing else', () => {
    const udp = { packets: 30, details: { ...details, ipProtocol: 17 } };
    const tcp = { packets: 10, details: { ...details, ipProtocol: 6 } };
    const counted = cause({ confidence: 'certain', claims: [{ packets: 10 }] });
    const deduced = cause({ confidence: 'likely', claims: [{ ipProtocol: 17, packets: 30 }] });
    expect(share([counted, deduced], [udp, tcp])).toMatchObject({
      claimed: [10, 30],
      unexplained: 0,
    });
    expect(share([counted], [udp, tcp])).toMatchObject({ claimed: [10], unexplained: 30 });
  });

  test.each<[string, Claim, number]>([
    ['its interface', { interface: 'eth0' }, 5],
    ['another interface', { interface: ['eth1', 'eth2'] }, 0],
    ['its protocol', { ipProtocol: [6, 17] }, 5],
    ['another protocol', { ipProtocol: 6 }, 0],
    ['a function in its stack', { caller: 'icmp_rcv' }, 5],
    ['a function that is not', { caller: ['tcp_rcv'] }, 0],
  ])('%s', (_what, claim, packets) => {
    expect(share([cause({ claims: [claim] })], [{ packets: 5, details }]).claimed).toEqual([
      packets,
    ]);
    // tracefs cannot tell.
    expect(share([cause({ claims: [claim] })], [{ packets: 5 }]).claimed).toEqual([5]);
  });

  test('an interface or a stack that is not known may be any', () => {
    const unknown = { ...details, interface: null, stack: [] };
    const finding = cause({ claims: [{ interface: 'eth1', caller: 'tcp_rcv' }] });
    expect(share([finding], [{ packets: 5, details: unknown }]).claimed).toEqual([5]);
  });
});
