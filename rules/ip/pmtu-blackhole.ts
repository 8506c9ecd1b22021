import drops from '../../checks/drops.ts';
import snmp from '../../checks/snmp.ts';
import { EtherType, IPPROTO_TCP, packetsOf, type DropCount } from '../../src/model/drops.ts';
import { defineRule, type Claim } from '../../src/model/rule.ts';
import { unspecified, withoutReasons } from '../benign.ts';
import { dropsOf, receivedPackets, strays } from './evidence.ts';
import { observedRises, rises } from '../protocol-counters.ts';

const REASON = 'PKT_TOO_BIG';
/** For IPv6 also what `InTooBigErrors` counts (ip6_forward, Linux 6.18). */
const COUNTERS = ['Ip.FragFails', 'Ip6.FragFails'];
const FORWARD = ['ip_forward', 'ip6_forward'];
/** What this host sends itself, tunnels included; no reason is given (Linux 6.18). */
const OUTPUT = ['ip_fragment', 'ip_do_fragment', 'ip6_fragment'];

/** Each new connection may lose its first burst before it hears of the MTU: path MTU discovery at work. */
const DISCOVERY_PACKETS_PER_SECOND = 20;
/** Ten segments are TCP's first burst (RFC 6928). A flow that loses many times that does not listen. */
const DEAF_FLOW_PACKETS = 50;

export default defineRule({
  id: 'pmtu-blackhole',
  title: 'Packets too big for the way on are dropped, and their senders do not stop',
  // A bridge port or a veth that takes less: the same packets.
  consequenceOf: ['bridge-no-target', 'veth-peer'],
  needs: { snmp },
  wants: { drops },
  reviewed: '2026-11-22',
  explain: {
    see: 'Small packets pass, big ones do not: SSH connects, but `ls` hangs; TLS handshakes stall; big DNS answers are lost. On the router `Ip FragFails` rises.',
    kernel:
      'A packet larger than the MTU of its way out that may not be fragmented is dropped in `ip_forward` (net/ipv4/ip_forward.c) or `ip6_forward` with the reason `PKT_TOO_BIG`. It counts in `Ip FragFails` (IPv6: `Ip6 FragFails` and `InTooBigErrors`), and the sender gets ICMP "fragmentation needed" or "packet too big", which the kernel does not limit in rate (`icmpv4_mask_allow`, `icmpv6_mask_allow`). What this host sends itself ends in `ip_fragment` or `ip6_fragment`, counted the same way: TCP segments cut before it learned of the MTU, which are sent again, or what a tunnel wrapped. If the sender goes on, that message did not reach it.',
    confirm:
      '`ping -M do -s 1472 DESTINATION` fails where `-s 1200` answers; `tracepath DESTINATION` names the MTU; `tcpdump -ni any "icmp[icmptype] == 3 and icmp[icmpcode] == 4"` on both sides shows where the message is lost.',
    fix: 'Let ICMP type 3 code 4 and ICMPv6 type 2 pass all firewalls. Or lower what TCP sends: `nft add rule … tcp flags syn tcp option maxseg size set rt mtu` on the router. On senders `sysctl -w net.ipv4.tcp_mtu_probing=1` helps TCP alone. Give tunnels and interfaces their true MTU (WireGuard 1420, VXLAN 1450, PPPoE 1492).',
    normal:
      'A few at the start of each connection over a tunnel: the sender hears of the smaller MTU and goes on with smaller packets.',
    references: [
      'net/ipv4/ip_forward.c ip_forward, ip_exceeds_mtu (Linux 6.18)',
      'net/ipv6/ip6_output.c ip6_forward (Linux 6.18)',
      'RFC 1191, RFC 8201, RFC 2923',
    ],
  },
  judge({ snmp, drops }, window) {
    const ipv4 = rises(snmp, ['Ip.FragFails']);
    const ipv6 = rises(snmp, ['Ip6.FragFails']);
    const counted = ipv4 + ipv6;
    const claims: readonly Claim[] = [
      { reason: REASON, protocol: EtherType.IPv4, packets: ipv4 },
      { reason: REASON, protocol: EtherType.IPv6, packets: ipv6 },
      withoutReasons({ location: FORWARD, packets: counted }),
      ...unspecified({ location: OUTPUT, packets: counted }),
    ];
    const events = [
      ...dropsOf(drops, { reasons: [REASON] }),
      ...dropsOf(drops, { reasons: ['NOT_SPECIFIED', null], locations: OUTPUT }),
    ];
    const learning = events.filter((drop) => isLearning(drop));
    const packets = Math.max(0, counted - packetsOf(learning));
    const flowsKnown = events.some(({ details }) => (details?.topFlows.length ?? 0) > 0);
    const deaf = deafFlows(events.filter((drop) => !learning.includes(drop)));
    const discovery = packets <= DISCOVERY_PACKETS_PER_SECOND * window.seconds;
    if (discovery || (flowsKnown && deaf === 0)) {
      return strays(
        'Packets too big for the way on, few of each flow: their senders are told, and send smaller ones.',
        claims,
        window,
      );
    }
    return [
      {
        kind: 'cause',
        confidence: 'likely',
        packets,
        countedAgain: true,
        traffic: receivedPackets(snmp),
        // Without flows it may still be many senders that learn.
        severityAtMost: deaf > 0 ? 'warning' : 'notice',
        scope: {},
        because: [
          ...observedRises(snmp, COUNTERS, 'packets too big for their way out'),
          ...observedRises(
            snmp,
            ['Icmp.OutDestUnreachs', 'Icmp6.OutPktTooBigs'],
            'senders told (unreachable of any kind, or packet too big)',
          ),
          ...(deaf > 0
            ? [
                {
                  source: 'skb:kfree_skb',
                  text: `flows that lost ${DEAF_FLOW_PACKETS} or more, which go on though they were told: ${deaf}`,
                },
              ]
            : []),
        ],
        means:
          'Packets that do not fit the MTU of their way on are dropped here. The senders are told, but they go on: the message is probably lost at a firewall on its way back.',
        rulesOut: [
          {
            id: 'icmp-ratelimit',
            because: 'the kernel does not limit the messages that tell of a smaller MTU',
          },
        ],
        fixes: [
          {
            id: 'let-icmp-pass',
            title: 'Let the message about the MTU reach the senders, or make their packets smaller',
            risk: 'disruptive',
            cost: 'a change of firewall rules; a lower MSS costs little throughput',
            takesEffect: 'at-once',
            steps: [
              {
                kind: 'manual',
                text: 'Accept ICMP type 3 code 4 and ICMPv6 type 2 on every firewall between here and the senders. For TCP this router can lower the segment size itself: in the forward chain "tcp flags syn tcp option maxseg size set rt mtu". Check that the interface the packets leave by has its true MTU (ip link).',
              },
            ],
          },
        ],
        claims,
      },
    ];
  },
});

/** Flows that went on after they must have been told. */
function deafFlows(events: readonly DropCount[]): number {
  return events
    .flatMap(({ details }) => details?.topFlows ?? [])
    .filter(({ packets }) => packets >= DEAF_FLOW_PACKETS).length;
}

/** TCP of this host always hears, but may lose the rest of a burst. Tracefs tells no protocol: hardly another one. */
function isLearning({ location, details }: DropCount): boolean {
  return OUTPUT.includes(location) && (details?.ipProtocol ?? IPPROTO_TCP) === IPPROTO_TCP;
}
