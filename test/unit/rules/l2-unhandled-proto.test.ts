import { expect, test } from 'vitest';
import rule from '../../../rules/l2/l2-unhandled-proto.ts';
import { attribute } from '../../../src/engine/attribute.ts';
import type { DropCapture } from '../../../src/model/drops.ts';
import type { JudgeWindow } from '../../../src/model/rule.ts';
import { capture, causesOf, foreign, rxDroppedRise, window } from './evidence.ts';

const LLDP = 0x88cc;
const MPLS = 0x8847;
const LLC = 0x0004;

interface Case {
  readonly drops: DropCapture;
  readonly rxDropped?: Readonly<Record<string, bigint>>;
  readonly when?: JudgeWindow;
}

/** What it found, and where the engine then puts the drops. */
function judge({ drops, rxDropped, when = window }: Case) {
  const link = rxDropped && rxDroppedRise(rxDropped);
  const findings = rule.judge({ drops, link }, when);
  const judged = findings.map((finding) => ({ rule, finding }));
  const { claimed, unexplained, elsewhere } = attribute(judged, drops, {
    several: when.severalNetns,
  });
  const benign = findings.filter((finding) => finding.kind === 'benign');
  return {
    causes: causesOf(findings),
    harmless: benign.reduce((sum, finding) => sum + (claimed.get(finding) ?? 0), 0),
    texts: benign.filter((finding) => (claimed.get(finding) ?? 0) > 0).map(({ text }) => text),
    unexplained: unexplained.reduce((sum, { packets }) => sum + packets, 0),
    elsewhere: elsewhere.reduce((sum, { packets }) => sum + packets, 0),
  };
}

const unhandled = (protocol: number, packets: number) => ({
  reason: 'UNHANDLED_PROTO',
  location: '__netif_receive_skb_core',
  protocol,
  packets,
});

test.each([
  ['LLDP', LLDP],
  ['LACP', 0x8809],
  ['PTP', 0x88f7],
  ['802.1X', 0x888e],
  ['LLC', LLC],
])('%s without its daemon is harmless', (name, protocol) => {
  const { causes, harmless, texts, unexplained } = judge({
    drops: capture([unhandled(protocol, 5)]),
  });
  expect([causes, harmless, unexplained]).toEqual([[], 5, 0]);
  expect(texts).toEqual([expect.stringContaining(name)]);
});

test('MPLS may be expected to work: a notice, and which module would handle it', () => {
  const { causes, unexplained } = judge({
    drops: capture([unhandled(MPLS, 40)]),
    rxDropped: { eth0: 41n, eth1: 0n },
  });
  expect(unexplained).toBe(0);
  expect(causes).toMatchObject([
    {
      confidence: 'certain',
      packets: 40,
      severityAtMost: 'notice',
      scope: { interface: 'eth0' },
      fixes: [
        { id: 'load-module', steps: [{ kind: 'command', argv: ['modprobe', 'mpls_router'] }] },
      ],
    },
  ]);
  expect(causes[0]?.because[0]?.text).toContain('MPLS (EtherType 0x8847)');
});

test('an EtherType nobody knows: told by its number, nothing to load', () => {
  const { causes } = judge({ drops: capture([unhandled(0x0bad, 1)]) });
  expect(causes).toMatchObject([{ packets: 1, fixes: [], scope: {} }]);
  expect(causes[0]?.means).toContain('Frames of EtherType 0x0bad arrive');
});

test('protocols are told apart, each drop counted once', () => {
  const { causes, harmless, unexplained } = judge({
    drops: capture([
      unhandled(LLDP, 3),
      unhandled(MPLS, 2),
      { ...unhandled(MPLS, 4), location: '__netif_receive_skb_list_core' },
      unhandled(0x0bad, 9),
    ]),
  });
  expect(causes.map(({ packets }) => packets)).toEqual([9, 6]);
  expect([harmless, unexplained]).toEqual([3, 0]);
});

test.each([
  // ip_local_deliver_finish gives the same reason for an unknown IP protocol.
  ['an unknown IP protocol', { ...unhandled(0x0800, 7), location: 'ip_protocol_deliver_rcu' }],
  ['another reason', { ...unhandled(MPLS, 7), reason: 'TC_INGRESS' }],
])('look-alike: %s', (_, drop) => {
  const { causes, harmless, unexplained } = judge({ drops: capture([drop]) });
  expect([causes, harmless, unexplained]).toEqual([[], 0, 7]);
});

test('several interfaces count such frames: nobody can say which one it was', () => {
  const { causes } = judge({
    drops: capture([unhandled(MPLS, 40)]),
    rxDropped: { eth0: 30n, eth1: 10n },
  });
  expect(causes[0]?.scope).toEqual({});
  expect(causes[0]?.because.map(({ source }) => source)).toEqual([
    'skb:kfree_skb',
    '/sys/class/net/eth0/statistics/rx_dropped',
    '/sys/class/net/eth1/statistics/rx_dropped',
  ]);
});

test('several namespaces: only what interfaces here have counted happened here', () => {
  const drops = capture([unhandled(0x0bad, 10), unhandled(MPLS, 6)]);
  const here = (rxDropped?: Readonly<Record<string, bigint>>) => {
    const { causes, elsewhere } = judge({ drops, when: foreign, ...(rxDropped && { rxDropped }) });
    return { packets: causes.map(({ packets }) => packets), elsewhere };
  };
  expect(here({ vb: 100n })).toEqual({ packets: [10, 6], elsewhere: 0 });
  expect(here({ vb: 12n })).toEqual({ packets: [10, 2], elsewhere: 4 });
  expect(here({ vb: 0n })).toEqual({ packets: [], elsewhere: 16 });
  // Could not look: nothing can be laid at this namespace's door.
  expect(here()).toEqual({ packets: [], elsewhere: 16 });
});

test('frames of switches that a bridge refuses are harmless', () => {
  const { harmless, texts } = judge({
    drops: capture([
      { location: 'stp_pdu_rcv', protocol: LLC, packets: 2 },
      { location: 'snap_rcv', protocol: LLC, packets: 3 },
    ]),
  });
  expect(harmless).toBe(5);
  expect(texts).toEqual([expect.stringMatching(/^STP, CDP/)]);
});

test('a kernel without drop reasons: the location tells, but for IP and ARP', () => {
  const at = (protocol: number) => ({ location: '__netif_receive_skb', protocol, packets: 1 });
  const { causes, harmless, unexplained } = judge({
    drops: capture([LLDP, LLC, MPLS, 0x0800, 0x86dd, 0x0806, 0].map(at), false),
  });
  expect(causes.map(({ packets }) => packets)).toEqual([1]);
  // IP there was dropped at tc ingress, for all we know.
  expect([harmless, unexplained]).toEqual([2, 4]);
});

test('nothing was captured: nothing is claimed', () => {
  expect(judge({ drops: capture([]), rxDropped: { eth0: 999n } })).toMatchObject({
    causes: [],
    harmless: 0,
  });
});
