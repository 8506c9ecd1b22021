import { describe, expect, test } from 'vitest';
import { reconcile } from '../../../src/engine/reconcile.ts';
import { EtherType, type DropCount } from '../../../src/model/drops.ts';
import { captureOf } from './scripted.ts';

function rows(
  rises: Readonly<Record<string, number>>,
  drops: readonly Partial<DropCount>[] = [],
  silent: readonly string[] = [],
) {
  const reconciled = reconcile(new Map(Object.entries(rises)), captureOf(drops), new Set(silent));
  return reconciled.rows.map(({ counter, rise, byEvents, beforeEvents }) => [
    counter,
    rise,
    byEvents,
    beforeEvents,
  ]);
}

const full = (packets: number, protocol: number = EtherType.IPv4) => ({
  reason: 'SOCKET_RCVBUFF',
  location: 'udp_queue_rcv_one_skb',
  protocol,
  packets,
});

describe('counters against events', () => {
  test('seen, or not, the biggest rise first', () => {
    expect(
      rows({ 'snmp Udp.RcvbufErrors': 100, 'snmp TcpExt.IPReversePathFilter': 300 }, [full(90)]),
    ).toEqual([
      ['TcpExtIPReversePathFilter', 300, 0, 0],
      ['UdpRcvbufErrors', 100, 90, 0],
    ]);
  });

  test('more events than the counter says are no more than it says', () => {
    expect(rows({ 'snmp Udp.RcvbufErrors': 100 }, [full(140)])).toEqual([
      ['UdpRcvbufErrors', 100, 100, 0],
    ]);
  });

  test('each version of IP has counters of its own', () => {
    const drops = [full(5), full(7, EtherType.IPv6)];
    expect(rows({ 'snmp Udp.RcvbufErrors': 5, 'snmp Udp6.RcvbufErrors': 7 }, drops)).toEqual([
      ['Udp6RcvbufErrors', 7, 7, 0],
      ['UdpRcvbufErrors', 5, 5, 0],
    ]);
  });

  test('what the card lost never was a packet for the tracer', () => {
    expect(rows({ 'link eth0.100.rx_missed_errors': 9, 'ethtool eth0.rx_no_dma': 8 })).toEqual([
      ['link rx_missed_errors of eth0.100', 9, 0, 9],
      ['ethtool -S eth0 rx_no_dma', 8, 0, 8],
    ]);
  });

  test('what a cause lost without an event is not unseen', () => {
    const rises = { 'snmp TcpExt.ListenOverflows': 30 };
    expect(rows(rises)).toEqual([['TcpExtListenOverflows', 30, 0, 0]]);
    expect(rows(rises, [], ['tcp-listen-overflow'])).toEqual([
      ['TcpExtListenOverflows', 30, 0, 30],
    ]);
  });

  test('traffic, parts of a total and what did not rise are left out', () => {
    const rises = {
      'snmp Udp.InDatagrams': 1000,
      'softnet cpu0.dropped': 7,
      'softnet dropped': 7,
      'snmp Udp.InErrors': 0,
    };
    expect(rows(rises, [{ reason: 'CPU_BACKLOG', packets: 7 }])).toEqual([
      ['softnet dropped', 7, 7, 0],
    ]);
  });

  test('a queue counts the packets of its interface', () => {
    const details = {
      netns: 1,
      ifindex: 2,
      ipProtocol: 17,
      topFlows: [],
      flowCount: 0,
      flowsApproximate: false,
      samples: [],
      stack: [],
    };
    const drop = { reason: 'QDISC_OVERLIMIT', location: '__dev_queue_xmit', packets: 4 };
    const drops = [
      { ...drop, details: { ...details, interface: 'eth0' } },
      { ...drop, details: { ...details, interface: 'eth1' } },
    ];
    expect(rows({ 'qdisc eth0.root.dropped': 10 }, drops)).toEqual([
      ['qdisc dropped of eth0.root', 10, 4, 0],
    ]);
  });
});

test('events that no counter shows', () => {
  const quiet = { reason: 'QUEUE_PURGE', packets: 3 };
  const { uncounted } = reconcile(
    new Map([['snmp Udp.RcvbufErrors', 5]]),
    captureOf([full(5), quiet]),
    new Set(),
  );
  expect(uncounted).toMatchObject([quiet]);
  expect(reconcile(new Map(), undefined, new Set()).uncounted).toEqual([]);
});
