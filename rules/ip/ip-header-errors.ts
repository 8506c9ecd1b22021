import drops from '../../checks/drops.ts';
import snmp from '../../checks/snmp.ts';
import { EtherType } from '../../src/model/drops.ts';
import { defineRule, type Claim } from '../../src/model/rule.ts';
import { withoutReasons } from '../benign.ts';
import { areStray, receivedPackets, strays } from './evidence.ts';
import { splitHeaderErrors } from './header-errors.ts';
import { observedRises, rises } from '../protocol-counters.ts';

const RECEIVE = ['ip_rcv_core', 'ip_rcv', 'ip6_rcv_core', 'ipv6_rcv'];
/** Headers are looked at in more places: options after the routing decision, extensions one by one. */
const HEADERS = [...RECEIVE, 'ip_rcv_finish_core', 'ip_rcv_finish', 'ip_rcv_options'];
const EXTENSIONS = ['IPV6_BAD_EXTHDR', 'IPV6_TOO_MANY_EXTHDRS'];
const CHECKSUMS = ['IpExt.InCsumErrors'];
const TRUNCATED = ['IpExt.InTruncatedPkts', 'Ip6.InTruncatedPkts'];
const ICMP = ['Icmp.InCsumErrors', 'Icmp6.InCsumErrors'];

export default defineRule({
  id: 'ip-header-errors',
  title: 'Packets arrive with a damaged IP or ICMP header',
  needs: { snmp },
  wants: { drops },
  reviewed: '2026-11-22',
  explain: {
    see: '`Ip InHdrErrors`, `IpExt InCsumErrors`, `IpExt InTruncatedPkts` or `Icmp InCsumErrors` rises.',
    kernel:
      '`ip_rcv_core` (net/ipv4/ip_input.c) checks version, length and checksum: `IP_INHDR`, `PKT_TOO_SMALL`, `IP_CSUM`. Bad options are found in `ip_rcv_finish_core`, bad IPv6 extension headers in net/ipv6/exthdrs.c (`IPV6_BAD_EXTHDR`), ICMP checksums in `icmp_rcv` (`ICMP_CSUM`). `InHdrErrors` counts packets that ran out of hops as well; whydrop takes these off.',
    confirm:
      '`nstat -az IpInHdrErrors IpExtInCsumErrors IpExtInTruncatedPkts IcmpInCsumErrors Ip6InHdrErrors`; `tcpdump -eni INTERFACE -vv ip` says "bad cksum" and the hardware address of the sender.',
    fix: 'Find the sender by its hardware address: a broken card, an offload bug, a box in between that rewrites headers. Truncated packets on a tunnel: its MTU.',
    normal: 'A few a day from the Internet; a scanner that sends broken packets on purpose.',
    references: [
      'net/ipv4/ip_input.c ip_rcv_core (Linux 6.18)',
      'net/ipv6/ip6_input.c ip6_rcv_core (Linux 6.18)',
      'net/ipv6/exthdrs.c (Linux 6.18)',
    ],
  },
  judge({ snmp, drops }, window) {
    const malformed = splitHeaderErrors(snmp, drops);
    const headers = malformed.reduce((sum, version) => sum + version.malformed, 0);
    const checksums = rises(snmp, CHECKSUMS);
    const truncated = rises(snmp, TRUNCATED);
    const icmp = rises(snmp, ICMP);
    const packets = headers + checksums + truncated + icmp;

    const claims: readonly Claim[] = [
      { reason: 'IP_CSUM', packets: checksums },
      { reason: 'IP_INHDR', location: HEADERS, packets: headers },
      { reason: EXTENSIONS, packets: headers + truncated },
      { reason: 'PKT_TOO_SMALL', location: HEADERS, packets: truncated },
      { reason: 'ICMP_CSUM', packets: icmp },
      // A loopback address in IPv6 counts as a bad header, without a reason (ip6_rcv_core).
      {
        reason: 'NOT_SPECIFIED',
        location: 'ip6_rcv_core',
        packets: ofIpv6(malformed),
      },
      withoutReasons({ location: RECEIVE, packets: headers + checksums + truncated }),
      withoutReasons({ location: ['icmp_rcv', 'icmpv6_rcv'], packets: icmp }),
    ];
    if (areStray(packets, window)) {
      return strays(
        'A few packets with damaged headers, as the Internet brings them.',
        claims,
        window,
      );
    }
    return [
      {
        kind: 'cause',
        // Without events, packets that ran out of hops and were not answered may be among them.
        confidence: drops === undefined && headers > 0 ? 'likely' : 'certain',
        packets,
        traffic: receivedPackets(snmp),
        // Made elsewhere.
        severityAtMost: 'warning',
        scope: {},
        because: [
          ...observedRises(snmp, CHECKSUMS, 'wrong checksums of the IPv4 header'),
          ...observedRises(snmp, TRUNCATED, 'packets shorter than their header says'),
          ...observedRises(snmp, ICMP, 'wrong checksums of ICMP messages'),
          ...(headers > 0
            ? [
                {
                  source: 'nstat IpInHdrErrors Ip6InHdrErrors',
                  text: `${headers} malformed headers, without wrong checksums and used-up hops`,
                },
              ]
            : []),
        ],
        means:
          'Packets are damaged on their way to this host, or built wrongly by their sender; the kernel cannot trust their headers and drops them.',
        rulesOut: [
          {
            id: 'ip-ttl-exceeded',
            because: 'packets that ran out of hops are not among these',
          },
        ],
        fixes: [
          {
            id: 'find-the-sender',
            title: 'Find the sender, or the box that damages the packets',
            risk: 'none',
            cost: 'none here',
            takesEffect: 'at-once',
            steps: [
              {
                kind: 'manual',
                text: 'tcpdump -eni INTERFACE -vv shows the hardware address such packets come from. One sender: its card, driver or offloads. All of them: the last box before this host, or the cable.',
              },
            ],
          },
        ],
        claims,
      },
    ];
  },
});

function ofIpv6(versions: ReturnType<typeof splitHeaderErrors>): number {
  return versions
    .filter(({ protocol }) => protocol === EtherType.IPv6)
    .reduce((sum, { malformed }) => sum + malformed, 0);
}
