import { expect, test } from 'vitest';
import ipHeaderErrors from '../../../rules/ip/ip-header-errors.ts';
import ipTtlExceeded from '../../../rules/ip/ip-ttl-exceeded.ts';
import ipUnknownProto from '../../../rules/ip/ip-unknown-proto.ts';
import { severityOf } from '../../../src/engine/rank.ts';
import type { DropCount } from '../../../src/model/drops.ts';
import {
  capture,
  causesOf,
  detailsOf,
  foreign,
  snmpRise,
  window,
  type Counters,
} from './evidence.ts';

const traffic = { 'Ip.InReceives': 1000 };
const expired = { reason: 'IP_INHDR', location: 'ip_forward', packets: 200 };

function judge(counters: Counters, drops?: readonly (Partial<DropCount> & { packets: number })[]) {
  const evidence = {
    snmp: snmpRise({ ...traffic, ...counters }),
    drops: drops && capture(drops),
    lookups: undefined,
  };
  const packets = (rule: typeof ipHeaderErrors | typeof ipTtlExceeded) =>
    causesOf(rule.judge(evidence, window)).map(({ packets }) => packets);
  return { headers: packets(ipHeaderErrors), hops: packets(ipTtlExceeded) };
}

test('one counter, two causes: the drops tell used-up hops from bad headers', () => {
  const both = { 'Ip.InHdrErrors': 300, 'IpExt.InCsumErrors': 60 };
  expect(judge(both, [expired])).toEqual({ headers: [100], hops: [200] });
  expect(judge(both, [])).toEqual({ headers: [300], hops: [] });
});

test('without drops: as many hops as senders were told of, late fragments taken off', () => {
  const counters = { 'Ip.InHdrErrors': 300, 'Icmp.OutTimeExcds': 120, 'Ip.ReasmTimeout': 20 };
  expect(judge(counters)).toEqual({ headers: [200], hops: [100] });
});

test('IPv6 has its own', () => {
  const drop = { ...expired, location: 'ip6_forward', protocol: 0x86dd };
  expect(judge({ 'Ip6.InHdrErrors': 200 }, [drop])).toEqual({ headers: [], hops: [200] });
  // Of the other version: not these.
  expect(judge({ 'Ip6.InHdrErrors': 200 }, [expired])).toEqual({ headers: [200], hops: [] });
});

test.each<[name: string, packets: number]>([
  ['IpExt.InTruncatedPkts', 40],
  ['Icmp.InCsumErrors', 40],
  ['Icmp6.InCsumErrors', 40],
  // As noise.
  ['IpExt.InTruncatedPkts', 25],
])('%s +%i', (name, packets) => {
  expect(judge({ [name]: packets }, []).headers).toEqual(packets > 25 ? [packets] : []);
});

test('traceroute is no loop, and a kernel without reasons has MTU trouble at the same place', () => {
  expect(judge({ 'Ip.InHdrErrors': 25 }, [{ ...expired, packets: 25 }]).hops).toEqual([]);
  const snmp = snmpRise({ ...traffic, 'Ip.InHdrErrors': 100, 'Ip.FragFails': 60 });
  const drops = capture([{ location: 'ip_forward', packets: 160 }], false);
  expect(causesOf(ipTtlExceeded.judge({ snmp, drops, lookups: undefined }, window))).toMatchObject([
    { packets: 100 },
  ]);
});

const from = { source: '192.0.2.1', destination: '198.51.100.9' };
const ping = { ...from, icmp: { type: 8, code: 0 }, packets: 100 };
const trace = { ...from, ports: { source: 40_000, destination: 33_440 }, packets: 100 };
const web = { ...from, ports: { source: 40_000, destination: 443 }, packets: 100 };

test.each([
  ['mtr', [ping], 200, 'notice'],
  ['traceroute and mtr', [trace, ping], 200, 'notice'],
  ['a program among them', [ping, web], 200, 'warning'],
  [
    'answers, which nobody sends to find a way',
    [{ ...ping, icmp: { type: 0, code: 0 } }],
    200,
    'warning',
  ],
  ['a flood of pings', [ping], 300, 'warning'],
  ['nothing known of the flows', [], 200, 'warning'],
])('hops used up: %s', (_, topFlows, packets, severity) => {
  const drops = capture([{ ...expired, packets, ...detailsOf({ topFlows }) }]);
  const snmp = snmpRise({ ...traffic, 'Ip.InHdrErrors': packets });
  const [cause] = causesOf(ipTtlExceeded.judge({ snmp, drops, lookups: undefined }, window));
  expect(cause && severityOf(cause)).toBe(severity);
  expect(cause?.fixes.length).toBe(severity === 'notice' ? 0 : 1);
});

test.each([
  ['GRE is missed by somebody', [47], 'warning'],
  ['a scan of protocols is not', [253, 254, 255], 'notice'],
])('unknown protocols: %s', (_, numbers, severity) => {
  const drops = numbers.map((ipProtocol) => ({
    reason: 'IP_NOPROTO',
    location: 'ip_local_deliver_finish',
    packets: 100,
    ...detailsOf({ ipProtocol }),
  }));
  const counters = { ...traffic, 'Ip.InUnknownProtos': 100 };
  const [cause] = causesOf(
    ipUnknownProto.judge({ snmp: snmpRise(counters), drops: capture(drops) }, window),
  );
  expect(cause).toMatchObject({ confidence: 'certain', packets: 100 });
  expect(cause && severityOf(cause)).toBe(severity);
});

test('unknown protocols: few, or of who knows which', () => {
  const judged = (packets: number) =>
    causesOf(
      ipUnknownProto.judge(
        { snmp: snmpRise({ ...traffic, 'Ip.InUnknownProtos': packets }), drops: undefined },
        window,
      ),
    );
  expect(judged(25)).toEqual([]);
  expect(judged(26)).toMatchObject([{ packets: 26, severityAtMost: 'notice', fixes: [] }]);
});

test('a window of any length leaves whole packets', () => {
  const snmp = snmpRise({ ...traffic, 'Ip.InHdrErrors': 1 });
  const [benign] = ipTtlExceeded.judge(
    { snmp, drops: undefined, lookups: undefined },
    { ...window, seconds: 1.09 },
  );
  expect(benign?.claims.map(({ packets = 0 }) => packets)).toEqual([5, 0, 5, 0]);
});

test('a tunnel protocol with a handler, but no tunnel that takes the packets', () => {
  const drops = capture([
    {
      reason: 'NOT_SPECIFIED',
      location: 'gre_rcv',
      packets: 200,
      ...detailsOf({ ipProtocol: 47 }),
    },
  ]);
  const snmp = snmpRise(traffic);
  const [cause, ...others] = causesOf(ipUnknownProto.judge({ snmp, drops }, window));
  expect(others).toEqual([]);
  expect(cause).toMatchObject({ confidence: 'likely', packets: 200, severityAtMost: 'warning' });
  expect(cause?.means).toMatch(/^Somebody sends GRE to this host, and none of its tunnels takes/);
  // Where they may be of another namespace nothing tells.
  expect(causesOf(ipUnknownProto.judge({ snmp, drops }, foreign))).toEqual([]);
});
