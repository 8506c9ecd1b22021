import drops from '../../checks/drops.ts';
import snmp, { type Snmp } from '../../checks/snmp.ts';
import type { Sampled } from '../../src/model/check.ts';
import { packetsOf, type DropCapture } from '../../src/model/drops.ts';
import { defineRule, type Claim, type Finding, type JudgeWindow } from '../../src/model/rule.ts';
import { unspecified, withoutReasons } from '../benign.ts';
import { areStray, dropsOf, receivedPackets, strays } from './evidence.ts';
import { observedRises, rises } from '../protocol-counters.ts';

const REASON = 'IP_NOPROTO';
const COUNTERS = ['Ip.InUnknownProtos', 'Ip6.InUnknownProtos'];
const LOCATIONS = [
  'ip_local_deliver_finish',
  'ip_local_deliver',
  'ip_protocol_deliver_rcu',
  'ip6_input_finish',
  'ip6_protocol_deliver_rcu',
];

/** Where the modules of tunnels drop what belongs to none of their devices. Nothing counts these. */
const TUNNELS = [
  'gre_rcv',
  'ipip_rcv',
  'tunnel4_rcv',
  'tunnel64_rcv',
  'tunnel6_rcv',
  'tunnel46_rcv',
];

/** Protocols that somebody may expect here, and the module that handles each. */
const EXPECTED: ReadonlyMap<number, { readonly name: string; readonly module: string }> = new Map([
  [2, { name: 'IGMP', module: 'a kernel with CONFIG_IP_MULTICAST' }],
  [4, { name: 'IPv4 in IP', module: 'ipip' }],
  [41, { name: 'IPv6 in IP', module: 'sit (IPv6: ip6_tunnel)' }],
  [47, { name: 'GRE', module: 'ip_gre (IPv6: ip6_gre)' }],
  [50, { name: 'ESP (IPsec)', module: 'esp4 (IPv6: esp6)' }],
  [51, { name: 'AH (IPsec)', module: 'ah4 (IPv6: ah6)' }],
  [115, { name: 'L2TP', module: 'l2tp_ip' }],
  [132, { name: 'SCTP', module: 'sctp' }],
]);

export default defineRule({
  id: 'ip-unknown-proto',
  title: 'Packets of an IP protocol that nothing here handles',
  needs: { snmp },
  wants: { drops },
  reviewed: '2026-11-22',
  explain: {
    see: 'A tunnel, IPsec or SCTP gets no answer; `Ip InUnknownProtos` rises. The sender gets ICMP "protocol unreachable".',
    kernel:
      '`ip_protocol_deliver_rcu` (net/ipv4/ip_input.c) finds no handler for the protocol number of a packet for this host: `IP_NOPROTO`. IPv6: `ip6_protocol_deliver_rcu`. A handler comes with its module: ip_gre, esp4, sctp … Raw sockets get a copy whatever happens, and then it is no drop. A handler that has no tunnel for a packet drops it without a counter (`gre_rcv`, `tunnel4_rcv`).',
    confirm:
      '`nstat -az IpInUnknownProtos Ip6InUnknownProtos`; `tcpdump -ni any "not tcp and not udp and not icmp and not icmp6 and not arp"`; `lsmod`.',
    fix: 'If the protocol is wanted: load its module or start the daemon that does it. If not, it does no harm.',
    normal: 'Protocol scans, and tunnels of others that point to an old address.',
    references: ['net/ipv4/ip_input.c ip_protocol_deliver_rcu (Linux 6.18)'],
  },
  judge({ snmp, drops }, window) {
    return [...unhandled(snmp, drops, window), ...ofNoTunnel(snmp, drops, window)];
  },
});

function unhandled(
  snmp: Sampled<Snmp>,
  drops: DropCapture | undefined,
  window: JudgeWindow,
): readonly Finding[] {
  const packets = rises(snmp, COUNTERS);
  const claims: readonly Claim[] = [
    { reason: REASON, packets },
    withoutReasons({ location: LOCATIONS, packets }),
  ];
  if (areStray(packets, window)) {
    return strays('A few packets of IP protocols that nothing here handles.', claims, window);
  }
  const numbers = new Set(
    dropsOf(drops, { reasons: [REASON, null], locations: LOCATIONS }).flatMap(
      ({ details }) => details?.ipProtocol ?? [],
    ),
  );
  const known = [...numbers].flatMap((number) => EXPECTED.get(number) ?? []);
  const expected = known.length > 0 && numbers.size <= EXPECTED.size;
  return [
    {
      kind: 'cause',
      confidence: 'certain',
      packets,
      traffic: receivedPackets(snmp),
      // A scan tries all protocols; a tunnel or IPsec is missed by somebody.
      severityAtMost: expected ? 'warning' : 'notice',
      scope: {},
      because: [
        ...observedRises(snmp, COUNTERS, 'packets of protocols without a handler'),
        ...(numbers.size === 0
          ? []
          : [
              {
                source: 'skb:kfree_skb',
                text: `IP protocols ${[...numbers].map((number) => `${number}${nameOf(number)}`).join(', ')}`,
              },
            ]),
      ],
      means: expected
        ? `Somebody sends ${known.map(({ name }) => name).join(', ')} to this host, and no part of its kernel handles that.`
        : 'Somebody sends packets of IP protocols that no part of this kernel handles. That is a fault only if one of them is wanted here.',
      rulesOut: [],
      fixes: expected
        ? [
            {
              id: 'load-handler',
              title: 'Load what handles the protocol, if it is wanted',
              risk: 'caution',
              cost: 'one more protocol that others can reach',
              takesEffect: 'at-once',
              steps: [
                {
                  kind: 'manual',
                  text: known
                    .map(({ name, module }) => `${name}: needs ${module}`)
                    .concat('modprobe MODULE, then set up the tunnel or start the daemon.')
                    .join('. '),
                },
              ],
            },
          ]
        : [],
      claims,
    },
  ];
}

/** Their handler is there, but none of its tunnels takes them. Only where the drops are known to be of this namespace. */
function ofNoTunnel(
  snmp: Sampled<Snmp>,
  capture: DropCapture | undefined,
  window: JudgeWindow,
): readonly Finding[] {
  const drops = dropsOf(capture, { reasons: ['NOT_SPECIFIED', null], locations: TUNNELS });
  const packets = packetsOf(drops);
  if (packets === 0 || window.severalNetns) return [];
  const claims = unspecified({ location: TUNNELS, packets });
  if (areStray(packets, window)) {
    return strays('A few packets of tunnels that do not end here.', claims, window);
  }
  const numbers = new Set(drops.flatMap(({ details }) => details?.ipProtocol ?? []));
  const names = [...numbers].map((number) => EXPECTED.get(number)?.name ?? `IP protocol ${number}`);
  return [
    {
      kind: 'cause',
      confidence: 'likely',
      packets,
      traffic: receivedPackets(snmp),
      severityAtMost: 'warning',
      scope: {},
      because: [
        {
          source: 'skb:kfree_skb',
          text: `${packets} packets that the handler of their protocol gave to no tunnel`,
        },
      ],
      means: `Somebody sends ${names.length === 0 ? 'packets of a tunnel' : names.join(', ')} to this host, and none of its tunnels takes them: the tunnel is missing, or local address, remote address or key differ at the two ends.`,
      rulesOut: [],
      fixes: [
        {
          id: 'make-tunnel',
          title: 'Set up the tunnel, or mend the end that sends',
          risk: 'disruptive',
          cost: 'a tunnel to the wrong host lets strangers in',
          takesEffect: 'at-once',
          steps: [
            {
              kind: 'manual',
              text: 'Compare both ends: ip -d tunnel show; ip -d link show type gre (ipip, sit). Local and remote are exchanged, the key is the same.',
            },
          ],
        },
      ],
      claims,
    },
  ];
}

function nameOf(number: number): string {
  const name = EXPECTED.get(number)?.name;
  return name === undefined ? '' : ` (${name})`;
}
