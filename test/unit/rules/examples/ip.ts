import { EtherType } from '../../../../src/model/drops.ts';
import { detailsOf, dropped, linkRise, sampled, settings } from '../evidence.ts';
import { blackholeOf, lookupOf, policyOf } from '../lookups.ts';
import { kernelSays, traffic, type Example, type HostEvidence } from '../example.ts';

const NOTHING_LEFT = { bytes: 4_194_304, datagrams: 1000, limitBytes: 4_194_304 };
/** Five strays a second are nobody's fault. */
const MORE_THAN_STRAYS = 26;

const router = settings({ 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1 });

function xfrm(counter: string, packets: number): HostEvidence['xfrm'] {
  const at = (packets: number) => ({ counters: new Map([[counter, BigInt(100 + packets)]]) });
  return sampled(at(0), at(packets));
}

function flow(destination: string, packets: number) {
  return detailsOf({ topFlows: [{ source: '10.0.0.9', destination, packets }] });
}

export default [
  {
    rule: 'ipv6-ndisc-reject',
    evidence: (packets) => ({
      snmp: traffic({ 'Icmp6.InMsgs': packets }),
      drops: dropped('IPV6_NDISC_HOP_LIMIT', 'ndisc_rcv', packets, { protocol: EtherType.IPv6 }),
    }),
    causeFrom: 1,
  },
  {
    rule: 'own-source-address',
    evidence: (packets) => ({
      drops: dropped('IP_LOCAL_SOURCE', 'ip_rcv_finish_core', packets),
    }),
    causeFrom: 1,
  },
  {
    rule: 'own-source-address',
    evidence: (times) => ({ 'kernel-log': kernelSays('duplicate-address', times) }),
    causeFrom: 1,
    clear: 3,
  },
  {
    rule: 'no-route-in',
    evidence: (packets) => ({
      snmp: traffic({ 'IpExt.InNoRoutes': packets }),
      drops: dropped('IP_INNOROUTES', 'ip_error', packets),
      sysctl: router,
    }),
    causeFrom: MORE_THAN_STRAYS,
  },
  {
    rule: 'forwarding-disabled',
    evidence: (packets) => ({
      snmp: traffic({ 'Ip.InAddrErrors': packets }),
      drops: dropped('IP_INADDRERRORS', 'ip_error', packets),
      sysctl: settings({ 'net.ipv4.ip_forward': 0 }),
    }),
    causeFrom: MORE_THAN_STRAYS,
  },
  {
    rule: 'ip-frag-memory',
    evidence: (fragments) => ({
      snmp: traffic({ 'Ip.ReasmFails': fragments, 'Ip.ReasmReqds': 2 * fragments }),
      drops: dropped('NOT_SPECIFIED', 'ip_defrag', fragments),
      fragments: sampled({ ipv4: NOTHING_LEFT }, { ipv4: NOTHING_LEFT }),
    }),
    causeFrom: MORE_THAN_STRAYS,
  },
  {
    rule: 'ip-frag-timeout',
    evidence: (datagrams) => ({
      snmp: traffic({ 'Ip.ReasmTimeout': datagrams, 'Ip.ReasmFails': datagrams }),
      drops: dropped('FRAG_REASM_TIMEOUT', 'ip_expire', datagrams),
    }),
    causeFrom: MORE_THAN_STRAYS,
  },
  {
    rule: 'xfrm-policy',
    evidence: (packets) => ({
      xfrm: xfrm('XfrmInNoPols', packets),
      drops: dropped('XFRM_POLICY', 'tcp_v4_rcv', packets),
    }),
    causeFrom: MORE_THAN_STRAYS,
  },
  {
    rule: 'xfrm-policy',
    evidence: (packets) => ({ xfrm: xfrm('XfrmOutNoStates', packets) }),
    causeFrom: MORE_THAN_STRAYS,
  },
  {
    rule: 'ip-rpfilter',
    evidence: (packets) => ({
      snmp: traffic({ 'TcpExt.IPReversePathFilter': packets }),
      drops: dropped('IP_RPFILTER', 'ip_rcv_finish_core', packets),
      sysctl: settings({ 'net.ipv4.conf.all.rp_filter': 1, 'net.ipv4.conf.eth0.rp_filter': 1 }),
      link: linkRise({ eth0: { rxPackets: 10_000n } }),
    }),
    causeFrom: 1,
  },
  {
    rule: 'ip-header-errors',
    evidence: (packets) => ({
      snmp: traffic({ 'Ip.InHdrErrors': packets }),
      drops: dropped('IP_INHDR', 'ip_rcv_core', packets),
    }),
    causeFrom: MORE_THAN_STRAYS,
  },
  {
    rule: 'ip-ttl-exceeded',
    evidence: (packets) => ({
      snmp: traffic({ 'Ip.InHdrErrors': packets, 'Icmp.OutTimeExcds': packets }),
      drops: dropped('IP_INHDR', 'ip_forward', packets),
      sysctl: router,
    }),
    causeFrom: MORE_THAN_STRAYS,
  },
  {
    rule: 'unicast-in-l2-multicast',
    evidence: (packets) => ({
      drops: dropped('UNICAST_IN_L2_MULTICAST', 'ip_rcv_finish_core', packets),
    }),
    causeFrom: MORE_THAN_STRAYS,
  },
  {
    rule: 'icmp-ratelimit',
    evidence: (answers) => ({ snmp: traffic({ 'Icmp.OutRateLimitGlobal': answers }) }),
    causeFrom: MORE_THAN_STRAYS,
  },
  {
    rule: 'ip-martian',
    evidence: (packets) => ({
      drops: dropped('IP_INVALID_SOURCE', 'ip_rcv_finish_core', packets),
    }),
    causeFrom: MORE_THAN_STRAYS,
  },
  {
    rule: 'no-route-out',
    evidence: (packets) => ({
      snmp: traffic({ 'Ip.OutNoRoutes': packets }),
      drops: dropped('IP_OUTNOROUTES', '__ip_queue_xmit', packets),
    }),
    causeFrom: MORE_THAN_STRAYS,
  },
  {
    rule: 'ip-unknown-proto',
    evidence: (packets) => ({
      snmp: traffic({ 'Ip.InUnknownProtos': packets }),
      drops: dropped('IP_NOPROTO', 'ip_protocol_deliver_rcu', packets),
    }),
    causeFrom: MORE_THAN_STRAYS,
  },
  {
    rule: 'ip-unknown-proto',
    evidence: (packets) => ({
      snmp: traffic({}),
      drops: dropped('NOT_SPECIFIED', 'gre_rcv', packets),
    }),
    causeFrom: MORE_THAN_STRAYS,
  },
  {
    rule: 'pmtu-blackhole',
    evidence: (packets) => ({
      snmp: traffic({ 'Ip.FragFails': packets }),
      drops: dropped('PKT_TOO_BIG', 'ip_forward', packets, flow('198.51.100.1', packets)),
    }),
    causeFrom: 101,
  },
  {
    rule: 'blackhole-route',
    evidence: (packets) => ({
      drops: dropped('NOT_SPECIFIED', 'ip_error', packets, flow('198.51.100.1', packets)),
      lookups: refused(),
    }),
    causeFrom: MORE_THAN_STRAYS,
  },
  {
    rule: 'parts-of-packet',
    evidence: (parts) => ({ drops: dropped('NOT_SPECIFIED', 'skb_release_data', parts) }),
    causeFrom: 'never',
  },
  {
    rule: 'icmp-noise',
    evidence: (messages) => ({ drops: dropped('NO_SOCKET', 'ping_rcv', messages) }),
    causeFrom: 'never',
  },
  {
    rule: 'multicast-not-joined',
    evidence: (packets) => ({ drops: dropped('NOT_SPECIFIED', 'igmp_rcv', packets) }),
    causeFrom: 'never',
  },
  {
    rule: 'ipv6-disabled',
    evidence: (packets) => ({
      snmp: traffic({ 'Ip6.InDiscards': packets }),
      drops: dropped('IPV6DISABLED', 'ip6_rcv_core', packets, { protocol: EtherType.IPv6 }),
    }),
    causeFrom: 'never',
  },
] satisfies readonly Example[];

function refused(): HostEvidence['lookups'] {
  const refusing = [blackholeOf('198.51.100.0/24')];
  return { answers: [lookupOf({ refusing })], policy: policyOf() };
}
