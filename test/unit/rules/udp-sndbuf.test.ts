import { expect, test } from 'vitest';
import type { Qdiscs } from '../../../checks/qdisc.ts';
import rule from '../../../rules/udp/udp-sndbuf.ts';
import { severityOf } from '../../../src/engine/rank.ts';
import { capture, causesOf, sampled, snmpRise, window } from './evidence.ts';

interface Case {
  readonly errors: number;
  /** Drops of the queue, and events of the capture. */
  readonly qdisc?: number;
  readonly reason?: string;
  readonly events?: number;
  readonly blind?: true;
}

function judge({ errors, qdisc = 0, reason = 'QDISC_DROP', events = 0, blind }: Case) {
  const at = (dropped: number): Qdiscs => ({
    qdiscs: [
      {
        device: 'eth0',
        kind: 'tbf',
        handle: '8001:',
        parent: 'root',
        bytes: 0n,
        packets: 0n,
        dropped: BigInt(dropped),
        overlimits: 0n,
        requeues: 0n,
        backlogBytes: 0n,
        queueLength: 0n,
        details: new Map(),
        options: {},
      },
    ],
  });
  const snmp = snmpRise({ 'Udp.SndbufErrors': errors, 'Udp.OutDatagrams': 1000 });
  const evidence = blind
    ? { snmp, drops: undefined, qdisc: undefined, sysctl: undefined }
    : {
        snmp,
        drops: capture([{ reason, location: '__dev_queue_xmit', packets: events }]),
        qdisc: sampled(at(100), at(100 + qdisc)),
        sysctl: undefined,
      };
  return causesOf(rule.judge(evidence, window))[0];
}

test('what no queue dropped found the send buffer full: a notice, for the program is told', () => {
  const cause = judge({ errors: 300 });
  expect(cause).toMatchObject({ confidence: 'likely', packets: 300, claims: [] });
  expect(cause && severityOf(cause)).toBe('notice');
  expect(judge({ errors: 50 })?.packets).toBe(50);
  expect(judge({ errors: 49 })).toBeUndefined();
});

test.each(['QDISC_DROP', 'QDISC_OVERLIMIT', 'FQ_FLOW_LIMIT', 'TC_EGRESS', 'NEIGH_CREATEFAIL'])(
  'look-alike: %s on the way out counts the same',
  (reason) => {
    expect(judge({ errors: 300, reason, events: 295 })).toBeUndefined();
    expect(judge({ errors: 300, reason, events: 200 })?.packets).toBe(100);
  },
);

test('look-alike: a queue that drops, where no reason tells', () => {
  expect(judge({ errors: 300, qdisc: 300 })).toBeUndefined();
  expect(judge({ errors: 300, reason: 'NOT_SPECIFIED', events: 300 })?.packets).toBe(300);
});

test('neither drops nor queues could be read: possible', () => {
  expect(judge({ errors: 300, blind: true })).toMatchObject({
    confidence: 'possible',
    rulesOut: [],
  });
});
