import { describe, expect, test } from 'vitest';
import type { Answer, Lookups } from '../../../checks/lookups.ts';
import ipMartian from '../../../rules/ip/ip-martian.ts';
import ipv6NdiscReject from '../../../rules/ip/ipv6-ndisc-reject.ts';
import multicastNotJoined from '../../../rules/ip/multicast-not-joined.ts';
import ownSourceAddress from '../../../rules/ip/own-source-address.ts';
import unicastInL2Multicast from '../../../rules/ip/unicast-in-l2-multicast.ts';
import { severityOf } from '../../../src/engine/rank.ts';
import type { DropCount } from '../../../src/model/drops.ts';
import type { Finding, JudgeWindow } from '../../../src/model/rule.ts';
import {
  capture,
  causesOf,
  detailsOf,
  foreign,
  linkRise,
  snmpRise,
  window,
  type Counters,
} from './evidence.ts';
import { lookupOf, wayOut } from './lookups.ts';

type Drop = Partial<DropCount> & Pick<DropCount, 'packets'>;

const here = { 'Ip.InReceives': 1000, 'Ip.InDelivers': 800, 'Icmp6.InMsgs': 150 };
const judges: Readonly<
  Record<
    string,
    (drops: readonly Drop[], counters: Counters, at: JudgeWindow) => readonly Finding[]
  >
> = {
  IP_LOCALNET: (drops, counters, at) =>
    ipMartian.judge({ drops: capture(drops), snmp: snmpRise(counters), kernelLog: undefined }, at),
  IP_LOCAL_SOURCE: (drops, counters, at) =>
    ownSourceAddress.judge(
      {
        drops: capture(drops),
        snmp: snmpRise(counters),
        link: undefined,
        kernelLog: undefined,
        lookups: undefined,
      },
      at,
    ),
  UNICAST_IN_L2_MULTICAST: (drops, counters, at) =>
    unicastInL2Multicast.judge({ drops: capture(drops), snmp: snmpRise(counters) }, at),
  IPV6_NDISC_HOP_LIMIT: (drops, counters, at) =>
    ipv6NdiscReject.judge({ drops: capture(drops), snmp: snmpRise(counters) }, at),
};

test.each(Object.entries(judges))(
  '%s: fires, and stays quiet at the pace of noise',
  (reason, judge) => {
    const drop = { reason, location: 'ip_rcv_finish_core', packets: 200 };
    expect(causesOf(judge([drop], here, window))).toMatchObject([{ packets: 200 }]);
    // 5 seconds at 5 a second.
    const few = causesOf(judge([{ ...drop, packets: 25 }], here, window));
    expect(few.map(severityOf).filter((severity) => severity !== 'notice')).toEqual([]);
    // A look-alike: the reverse-path filter.
    expect(causesOf(judge([{ ...drop, reason: 'IP_RPFILTER' }], here, window))).toEqual([]);
  },
);

test.each(Object.entries(judges))(
  '%s: of a whole machine no more than vanished here, and never an alarm of the addresses',
  (reason, judge) => {
    const drop = { reason, location: 'ip_rcv_finish_core', packets: 5000 };
    const [cause] = causesOf(judge([drop], here, foreign));
    expect(cause?.packets).toBe(reason === 'IPV6_NDISC_HOP_LIMIT' ? 150 : 200);
    expect(cause?.confidence).not.toBe('certain');
    expect(causesOf(judge([drop], { 'Ip.InReceives': 10, 'Ip.InDelivers': 10 }, foreign))).toEqual(
      [],
    );
  },
);

test('a kernel without that reason: the addresses tell martians from multicast', () => {
  const drops = [
    {
      reason: 'NOT_SPECIFIED',
      location: 'ip_rcv_finish_core',
      packets: 300,
      ...detailsOf({
        topFlows: [
          { source: '127.0.0.1', destination: '10.0.0.1', packets: 100 },
          { source: '10.0.0.9', destination: '239.1.2.3', packets: 150 },
          { source: '240.0.0.1', destination: '10.0.0.1', packets: 50 },
        ],
      }),
    },
  ];
  const [cause] = causesOf(
    ipMartian.judge({ drops: capture(drops), snmp: snmpRise(here), kernelLog: undefined }, window),
  );
  expect(cause).toMatchObject({
    packets: 150,
    claims: [{}, { reason: 'NOT_SPECIFIED', packets: 150 }, { reason: null }],
  });
});

describe('before 6.14: no reason for packets from an own address, and multicast ends in the same place', () => {
  const drops = capture([
    {
      reason: 'NOT_SPECIFIED',
      location: 'ip_rcv_finish_core',
      packets: 300,
      ...detailsOf({
        topFlows: [
          { source: '10.0.0.2', destination: '10.0.0.99', packets: 180 },
          { source: '10.0.0.9', destination: '239.1.2.3', packets: 120 },
        ],
      }),
    },
  ]);
  const snmp = snmpRise(here);
  const ofSource = (local: boolean): Lookups => ({
    answers: [
      lookupOf({
        source: '10.0.0.2',
        wayBack: { command: 'ip route get …', answer: { ...wayOut('lo'), local } as Answer },
      }),
    ],
    policy: new Map(),
  });
  const judge = (lookups: Lookups | undefined) =>
    causesOf(
      ownSourceAddress.judge(
        { drops, snmp, link: undefined, kernelLog: undefined, lookups },
        window,
      ),
    );

  test('an own address is one to which the kernel would go by itself', () => {
    expect(judge(ofSource(true))).toMatchObject([
      {
        packets: 180,
        claims: [{}, { reason: 'NOT_SPECIFIED', location: 'ip_rcv_finish_core', packets: 180 }],
      },
    ]);
    expect(judge(ofSource(false))).toEqual([]);
    expect(judge(undefined)).toEqual([]);
  });

  test('only what was for groups is multicast', () => {
    const [finding] = multicastNotJoined.judge({ snmp, drops }, window);
    const claims = finding?.claims.filter(({ location }) => location === 'ip_rcv_finish_core');
    expect(claims).toMatchObject([{ interface: 'eth0', packets: 120 }]);
  });
});

test.each([
  ['02aaaaaaaaaa', /Another machine \(hardware address 02:aa:aa:aa:aa:aa\)/],
  ['020000000001', /there is a loop/],
])('own address from %s', (mac, means) => {
  const bytes = Buffer.from(`ffffffffffff${mac}0800`, 'hex').toString('base64');
  const drop = {
    reason: 'IP_LOCAL_SOURCE',
    packets: 100,
    ...detailsOf({ samples: [{ timeUs: 0, link: 'ethernet', length: 60, bytes }] }),
  };
  const link = linkRise({ eth0: { address: '02:00:00:00:00:01' } });
  const evidence = {
    drops: capture([drop]),
    snmp: snmpRise(here),
    link,
    kernelLog: undefined,
    lookups: undefined,
  };
  expect(causesOf(ownSourceAddress.judge(evidence, window))[0]?.means).toMatch(means);
});
