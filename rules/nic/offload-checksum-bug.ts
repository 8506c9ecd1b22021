import drops from '../../checks/drops.ts';
import kernelLog from '../../checks/kernel-log.ts';
import link, { type Links } from '../../checks/link.ts';
import snmp from '../../checks/snmp.ts';
import type { Sampled } from '../../src/model/check.ts';
import type { DropCapture, DropCount } from '../../src/model/drops.ts';
import { defineRule, type CauseFinding, type Finding } from '../../src/model/rule.ts';
import { toldByLog } from '../kernel-messages.ts';
import { unspecified } from '../benign.ts';
import { dropsWhere, observedRises, rises } from '../protocol-counters.ts';

const ERRORS = ['Udp.InCsumErrors', 'Udp6.InCsumErrors', 'Tcp.InCsumErrors'];
const CHECKSUM_REASONS = ['UDP_CSUM', 'TCP_CSUM'];
const SEGMENTATION_REASONS = ['SKB_GSO_SEG', 'SKB_BAD_GSO'];
/** The same where no reason is given. */
const SEGMENTATION_LOCATIONS = [
  'validate_xmit_skb',
  'validate_xmit_skb_list',
  'skb_gso_segment',
  '__skb_gso_segment',
];
/** Devices whose packets travel inside others: the offloads of cards often get the inner checksum wrong. */
const TUNNEL_KINDS: ReadonlySet<string> = new Set([
  'vxlan',
  'geneve',
  'gre',
  'gretap',
  'ip6gre',
  'ip6gretap',
  'ipip',
  'ip6tnl',
  'sit',
  'fou',
]);
/** VXLAN (IANA, and Linux's old own), Geneve. */
const TUNNEL_PORTS: ReadonlySet<number> = new Set([4789, 8472, 6081]);
/** All but a few strays from elsewhere. */
const TUNNEL_SHARE = 0.9;
/** Fewer tell nothing of all packets of the tunnel (rank.ts: critical by their number). */
const ERRORS_MIN = 20;
const WRONG_SUM =
  'The network card says of packets what their checksum is, and it is wrong. The kernel computes it again, so none is lost; it costs CPU time. Most likely its driver is at fault.';

export default defineRule({
  id: 'offload-checksum-bug',
  title: 'An offload of a network card damages packets',
  needs: { drops, snmp },
  wants: { link, kernelLog },
  reviewed: '2026-11-22',
  explain: {
    see: 'TCP and UDP fail between the containers or virtual machines of an overlay network, or take 63 seconds to connect, while ping works. Only packets in a tunnel, or only large ones, are hit.',
    kernel:
      'Checksums and the cutting of large packets are left to the network card (offloads). Cards and drivers that do not know a tunnel put a wrong checksum into the inner packet, and the receiver drops it: `UDP_CSUM`, `TCP_CSUM` (`Udp InCsumErrors`, `Tcp InCsumErrors`), all by the tunnel device or for its port (4789, 8472, 6081). Where the kernel itself cannot cut a packet, it drops it with `SKB_GSO_SEG` or `SKB_BAD_GSO`. The kernel log may say "hw csum failure".',
    confirm:
      '`nstat -az UdpInCsumErrors TcpInCsumErrors`, then switch one offload off and look whether it stops: on the sender `ethtool -K TUNNEL tx-checksum-ip-generic off`, on the receiver `ethtool -K CARD rx off`.',
    fix: 'Switch off only the offload that fails, on the tunnel device of the sender; it costs CPU time. A newer kernel, driver or firmware is the cure.',
    normal: 'Never.',
    references: [
      'net/ipv4/tcp_ipv4.c tcp_v4_rcv, net/core/gso.c skb_gso_segment (Linux 6.18)',
      'https://github.com/flannel-io/flannel/issues/1279',
      'https://github.com/projectcalico/calico/issues/3145',
    ],
  },
  judge({ drops, snmp, link, kernelLog }, window) {
    const { severalNetns } = window;
    const findings: Finding[] = [];
    const errors = rises(snmp, ERRORS);
    const inTunnel = dropsWhere(
      drops,
      (drop) =>
        drop.reason !== null && CHECKSUM_REASONS.includes(drop.reason) && isTunnel(drop, link),
    );
    if (inTunnel.packets >= ERRORS_MIN && inTunnel.packets >= errors * TUNNEL_SHARE) {
      findings.push({
        ...common,
        confidence: 'likely',
        packets: Math.min(errors, inTunnel.packets),
        traffic: {
          packets: rises(snmp, ['Tcp.InSegs', 'Udp.InDatagrams', 'Udp.InErrors']),
          what: 'TCP segments and UDP datagrams received',
        },
        because: [
          ...observedRises(snmp, ERRORS, 'packets whose checksum was wrong'),
          { source: 'skb:kfree_skb', text: `${inTunnel.packets} of them came through a tunnel` },
        ],
        means:
          'All packets with a wrong checksum came through a tunnel. That is what the checksum offload of a network card does when it does not know the tunnel.',
        fixes: [switchOff(inTunnel.drops)],
        claims: [{ reason: CHECKSUM_REASONS, packets: Math.min(errors, inTunnel.packets) }],
      });
    }
    const unsegmented = notSegmented(drops);
    if (unsegmented.packets > 0) {
      findings.push({
        ...common,
        confidence: severalNetns ? 'possible' : 'likely',
        packets: unsegmented.packets,
        severityAtMost: severalNetns ? 'notice' : 'warning',
        because: [
          {
            source: 'skb:kfree_skb',
            text: `${unsegmented.packets} large packets could not be cut into segments`,
          },
        ],
        means:
          'Large packets that were to be cut on their way out cannot be: what says how is wrong. A virtual machine, a driver or a program gave the kernel such packets.',
        fixes: [],
        claims: [
          { reason: SEGMENTATION_REASONS },
          ...unspecified({ location: SEGMENTATION_LOCATIONS }),
        ],
      });
    }
    if (link !== undefined) {
      findings.push(...toldByLog(kernelLog, 'hardware-checksum', link.last, window, WRONG_SUM));
    }
    return findings;
  },
});

const common = {
  kind: 'cause',
  scope: {},
  rulesOut: [
    { id: 'nic-crc-errors', because: 'a damaged frame would have been refused by the card before' },
  ],
} as const satisfies Partial<CauseFinding>;

function notSegmented(drops: DropCapture) {
  return dropsWhere(drops, ({ reason, location }) =>
    reason === null || reason === 'NOT_SPECIFIED'
      ? SEGMENTATION_LOCATIONS.includes(location)
      : SEGMENTATION_REASONS.includes(reason),
  );
}

/** As far as the capture knows (BPF). */
function isTunnel({ details }: DropCount, link: Sampled<Links> | undefined): boolean {
  if (details === undefined) return false;
  const kind = link?.last.interfaces.get(details.interface ?? '')?.kind;
  if (kind !== undefined && TUNNEL_KINDS.has(kind)) return true;
  const flows = details.topFlows;
  return (
    flows.length > 0 &&
    flows.every(({ ports }) => ports !== undefined && TUNNEL_PORTS.has(ports.destination))
  );
}

function switchOff(drops: readonly DropCount[]) {
  const name = drops
    .map(({ details }) => details?.interface)
    .find((one) => typeof one === 'string');
  const device = name ?? 'TUNNEL';
  return {
    id: 'tunnel-checksum-off',
    title: 'Let the kernel compute the checksums of the tunnel',
    risk: 'caution',
    cost: 'CPU time for each packet of the tunnel.',
    steps: [
      {
        kind: 'command',
        argv: ['ethtool', '-K', device, 'tx-checksum-ip-generic', 'off'],
        why: 'on the machine that sends the damaged packets (its tunnel may have another name), and here for the way back',
      },
      {
        kind: 'manual',
        text: 'If it goes on, try on this machine: ethtool -K CARD rx off, for the card below the tunnel. Undo what does not help. It lasts until the device is made anew.',
      },
    ],
    takesEffect: 'at-once',
  } as const;
}
