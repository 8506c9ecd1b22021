import { expect, test } from 'vitest';
import type { Links } from '../../../checks/link.ts';
import offload from '../../../rules/nic/offload-checksum-bug.ts';
import tcp from '../../../rules/tcp/tcp-csum-error.ts';
import udp from '../../../rules/udp/udp-csum-error.ts';
import { EtherType, type DropDetails } from '../../../src/model/drops.ts';
import {
  capture,
  causesOf,
  details,
  foreign,
  linkOf,
  sampled,
  snmpRise,
  window,
} from './evidence.ts';

test('every rise is a damaged datagram, however few', () => {
  const judge = (errors: number) =>
    udp.judge({ snmp: snmpRise({ 'Udp.InCsumErrors': errors }), drops: undefined }, window);
  expect(judge(0)).toEqual([]);
  expect(judge(1)).toMatchObject([{ kind: 'cause', confidence: 'certain', packets: 1 }]);
});

test('IPv6 datagrams without a checksum have the reason of a closed port', () => {
  const snmp = snmpRise({ 'Udp6.InCsumErrors': 50, 'Udp.InCsumErrors': 7 });
  const drops = capture([
    { reason: 'UDP_CSUM', location: '__udp6_lib_rcv', protocol: EtherType.IPv6, packets: 20 },
    { reason: 'UDP_CSUM', location: '__udp4_lib_rcv', packets: 7 },
  ]);
  expect(causesOf(udp.judge({ snmp, drops }, window))[0]).toMatchObject({
    packets: 57,
    claims: [
      { reason: 'UDP_CSUM', packets: 57 },
      { reason: 'NO_SOCKET', location: '__udp6_lib_rcv', packets: 30 },
      { reason: null, packets: 57 },
    ],
  });
});

test('look-alike: full buffers and closed ports do not move the counter of checksums', () => {
  const snmp = snmpRise({ 'Udp.InErrors': 90, 'Udp.RcvbufErrors': 90, 'Udp.NoPorts': 9 });
  expect(udp.judge({ snmp, drops: undefined }, window)).toEqual([]);
});

test('TCP: counted by InCsumErrors, not by other errors', () => {
  const judge = (counters: Readonly<Record<string, number>>) =>
    causesOf(tcp.judge({ snmp: snmpRise(counters), drops: undefined }, window));
  expect(judge({ 'Tcp.InCsumErrors': 3, 'Tcp.InErrs': 3, 'Tcp.InSegs': 900 })).toMatchObject([
    { confidence: 'certain', packets: 3, traffic: { packets: 900 } },
  ]);
  expect(judge({ 'Tcp.InErrs': 30 })).toEqual([]);
});

interface Tunnel {
  readonly errors?: number;
  readonly inTunnel?: number;
  readonly details?: Partial<DropDetails>;
  readonly kind?: string;
}

function judgeTunnel({ errors = 100, inTunnel = 95, details: of = {}, kind = 'vxlan' }: Tunnel) {
  const snmp = snmpRise({ 'Udp.InCsumErrors': errors, 'Udp.InErrors': errors });
  const at = { reason: 'UDP_CSUM', location: '__udp4_lib_rcv' };
  const drops = capture([
    { ...at, packets: inTunnel, details: details({ interface: 'vx0', ...of }) },
    { ...at, packets: errors - inTunnel, details: details({ interface: 'eth0' }) },
  ]);
  const links: Links = { interfaces: new Map([['vx0', linkOf({ kind })]]) };
  return causesOf(
    offload.judge({ snmp, drops, link: sampled(links, links), kernelLog: undefined }, window),
  );
}

test('damaged packets that all come through a tunnel are the work of an offload', () => {
  const [cause] = judgeTunnel({});
  expect(cause).toMatchObject({ confidence: 'likely', packets: 95 });
  expect(cause?.fixes[0]?.steps[0]).toMatchObject({
    argv: ['ethtool', '-K', 'vx0', 'tx-checksum-ip-generic', 'off'],
  });
});

test.each<[string, Tunnel, number]>([
  ['nine in ten', { errors: 100, inTunnel: 90 }, 1],
  ['less', { errors: 100, inTunnel: 89 }, 0],
  ['twenty', { errors: 20, inTunnel: 20 }, 1],
  ['fewer', { errors: 19, inTunnel: 19 }, 0],
  ['a card', { kind: 'veth' }, 0],
  ['the port of VXLAN', { kind: 'veth', details: flowTo(4789) }, 1],
  ['another port', { kind: 'veth', details: flowTo(4790) }, 0],
])('checksum errors of a tunnel: %s', (_, tunnel, causes) => {
  expect(judgeTunnel(tunnel)).toHaveLength(causes);
});

function flowTo(port: number): Partial<DropDetails> {
  const ports = { source: 1, destination: port };
  return { topFlows: [{ source: '10.0.0.1', destination: '10.0.0.2', ports, packets: 9 }] };
}

test.each([
  [udp, 'Udp.InCsumErrors'],
  [tcp, 'Tcp.InCsumErrors'],
] as const)('under their root cause the same packets are not counted twice', (rule, counter) => {
  expect(rule.consequenceOf).toContain(offload.id);
  const evidence = { snmp: snmpRise({ [counter]: 9 }), drops: undefined };
  expect(rule.judge(evidence, window)).toMatchObject([{ countedAgain: true }]);
});

test('packets that cannot be cut are a fault of who made them', () => {
  const judge = (reason: string | null, location: string, where = window) =>
    causesOf(
      offload.judge(
        {
          snmp: snmpRise({}),
          drops: capture([{ reason, location, packets: 6 }], reason !== null),
          link: undefined,
          kernelLog: undefined,
        },
        where,
      ),
    );
  expect(judge('SKB_GSO_SEG', 'tun_get_user')).toMatchObject([
    { packets: 6, confidence: 'likely', severityAtMost: 'warning' },
  ]);
  expect(judge('NOT_SPECIFIED', 'validate_xmit_skb')).toHaveLength(1);
  expect(judge(null, 'validate_xmit_skb')).toHaveLength(1);
  expect(judge('QDISC_DROP', 'validate_xmit_skb')).toEqual([]);
  // Perhaps of another namespace.
  expect(judge('SKB_GSO_SEG', 'tun_get_user', foreign)).toMatchObject([
    { confidence: 'possible', severityAtMost: 'notice' },
  ]);
});
