import type { Link } from '../../../../checks/link.ts';
import { EtherType } from '../../../../src/model/drops.ts';
import { detailsOf, dropped, heldByAgent, links, programsOf, sampled } from '../evidence.ts';
import { kernelSays, type Example, type HostEvidence } from '../example.ts';

const ADDRESS = '02:00:00:00:00:01';

/** Two ports of a bridge, one as told. */
function bridge(port: Partial<Link>, master: Partial<Link> = {}): HostEvidence['link'] {
  const common: Partial<Link> = {
    kind: 'veth',
    portKind: 'bridge',
    portState: 'forwarding',
    master: 'br0',
    rxPackets: 10_000n,
    promiscuity: 1,
  };
  return links({
    br0: { kind: 'bridge', txPackets: 10_000n, ...master },
    port0: { ...common, ...port },
    port1: common,
  });
}

function bond(mode: string, rxNoHandler: number): HostEvidence['link'] {
  return links({
    bond0: { kind: 'bond', bondMode: mode },
    eth1: {
      portKind: 'bond',
      portState: 'BACKUP',
      master: 'bond0',
      rxPackets: 10_000n,
      rxNoHandler: BigInt(rxNoHandler),
    },
  });
}

const on = (name: string) => detailsOf({ interface: name });

/** A clsact hook whose filters dropped so many. */
function hook(direction: 'ingress' | 'egress', packets: number): HostEvidence['qdisc'] {
  const at = (dropped: number) => ({
    qdiscs: [
      {
        device: 'eth0',
        kind: 'clsact',
        handle: 'ffff:',
        parent: 'ffff:fff1',
        bytes: 0n,
        packets: 0n,
        dropped: BigInt(100 + dropped),
        overlimits: 0n,
        requeues: 0n,
        backlogBytes: 0n,
        queueLength: 0n,
        details: new Map<string, bigint>(),
        options: {},
      },
    ],
    filters: new Map([
      ['eth0', [{ direction, kind: 'bpf', program: { id: 7, name: 'deny' }, actions: [] }]],
    ]),
  });
  return sampled(at(0), at(packets));
}

export default [
  {
    rule: 'l2-unhandled-proto',
    evidence: (frames) => ({
      link: links({ eth0: { rxPackets: 10_000n, rxDropped: BigInt(frames) } }),
      drops: dropped('UNHANDLED_PROTO', '__netif_receive_skb_core', frames, { protocol: 0x8847 }),
    }),
    causeFrom: 1,
  },
  {
    rule: 'vlan-no-device',
    evidence: (frames) => ({
      // As a bridge port would have it: floods are no matter there.
      link: links({
        eth0: { address: ADDRESS, rxPackets: 10_000n, rxOtherhost: BigInt(frames), promiscuity: 1 },
      }),
      drops: dropped(
        'OTHERHOST',
        'ip_rcv_core',
        frames,
        detailsOf({
          samples: [
            {
              timeUs: 0,
              link: 'ethernet',
              length: 60,
              bytes: Buffer.from(
                `${ADDRESS.replaceAll(':', '')}0200000000990800${'00'.repeat(16)}0a000002`,
                'hex',
              ).toString('base64'),
            },
          ],
          topFlows: [{ source: '10.0.0.9', destination: '10.0.0.2', packets: frames }],
        }),
      ),
    }),
    causeFrom: 26,
  },
  {
    rule: 'l2-otherhost',
    evidence: (frames) => ({
      link: links({ eth0: { rxPackets: 5000n, rxOtherhost: BigInt(frames) } }),
      drops: dropped('OTHERHOST', 'ip_rcv_core', frames, on('eth0')),
    }),
    causeFrom: 100,
  },
  {
    rule: 'bond-inactive-slave',
    evidence: (frames) => ({
      link: bond('active-backup', frames),
      drops: dropped('UNHANDLED_PROTO', '__netif_receive_skb_core', frames, on('eth1')),
    }),
    causeFrom: 'never',
  },
  {
    rule: 'bond-degraded',
    evidence: (frames) => ({
      link: bond('802.3ad', frames),
      drops: dropped('UNHANDLED_PROTO', '__netif_receive_skb_core', frames, on('eth1')),
    }),
    causeFrom: 26,
  },
  {
    rule: 'bridge-stp-blocked',
    evidence: (frames) => ({
      link: bridge({ portState: 'disabled' }),
      drops: dropped('BRIDGE_INGRESS_STP_STATE', 'br_handle_frame', frames, on('port0')),
    }),
    causeFrom: 26,
  },
  {
    rule: 'bridge-no-target',
    evidence: (frames) => ({
      link: bridge({ portLimits: ['isolated'] }),
      drops: dropped('NO_TX_TARGET', 'br_flood', frames, on('port0')),
    }),
    causeFrom: 26,
  },
  {
    rule: 'bridge-vlan-filter',
    evidence: (frames) => ({
      link: bridge({}, { vlanFiltering: true }),
      drops: dropped('NOT_SPECIFIED', 'br_allowed_ingress', frames, on('port0')),
    }),
    causeFrom: 26,
  },
  {
    rule: 'bridge-loop-or-bad-mac',
    evidence: (frames) => ({
      link: bridge({}),
      drops: dropped('LOCAL_MAC', 'br_handle_frame', frames, on('port0')),
    }),
    causeFrom: 1,
  },
  {
    rule: 'bridge-loop-or-bad-mac',
    evidence: (frames) => ({
      link: bridge({}),
      drops: dropped('NOT_SPECIFIED', 'br_handle_frame', frames, on('port0')),
    }),
    causeFrom: 1,
  },
  {
    rule: 'bridge-loop-or-bad-mac',
    evidence: (times) => ({ 'kernel-log': kernelSays('own-address', times) }),
    causeFrom: 1,
    clear: 3,
  },
  {
    rule: 'bridge-loop-or-bad-mac',
    evidence: (times) => ({ 'kernel-log': kernelSays('dead-loop', times) }),
    causeFrom: 1,
    clear: 3,
  },
  {
    rule: 'veth-peer',
    evidence: (packets) => ({
      link: links({
        veth0: { kind: 'veth', lower: 'veth1', txDropped: BigInt(packets), txPackets: 10_000n },
        veth1: { kind: 'veth', lower: 'veth0', mtu: 1000 },
      }),
      drops: dropped('NOT_SPECIFIED', '__dev_forward_skb2', packets, on('veth0')),
    }),
    causeFrom: 1,
  },
  {
    rule: 'macvlan-broadcast-queue',
    evidence: (frames) => ({
      link: links({
        eth0: { rxPackets: 10_000n, rxDropped: BigInt(frames) },
        mv0: { kind: 'macvlan', lower: 'eth0', broadcastQueueLength: 1000 },
      }),
      drops: dropped('MACVLAN_BROADCAST_BACKLOG', 'macvlan_broadcast_enqueue', frames, on('eth0')),
    }),
    causeFrom: 1,
  },
  {
    rule: 'tun-tap-queue-full',
    evidence: (packets) => ({
      link: links({
        tap0: { kind: 'tun', txDropped: BigInt(packets), txPackets: 10_000n, txQueueLength: 1000 },
      }),
      drops: dropped('FULL_RING', 'tun_net_xmit', packets, on('tap0')),
    }),
    causeFrom: 1,
  },
  {
    rule: 'vxlan-misconfig',
    evidence: (packets) => ({
      link: links({ vx0: { kind: 'vxlan', txDropped: BigInt(packets), txPackets: 10_000n } }),
      drops: dropped('NO_TX_TARGET', 'vxlan_xmit', packets, on('vx0')),
    }),
    causeFrom: 26,
  },
  {
    rule: 'vxlan-misconfig',
    evidence: (packets) => ({
      link: links({ vx0: { kind: 'vxlan', vxlanId: 42 } }),
      drops: dropped('NOT_SPECIFIED', 'vxlan_rcv', packets, on('vb')),
    }),
    causeFrom: 26,
  },
  {
    rule: 'xdp-drop',
    evidence: (packets) => ({
      link: links({
        eth0: {
          xdp: true,
          xdpPrograms: [{ id: 7, name: 'deny', mode: 'generic' }],
          rxPackets: 10_000n,
        },
      }),
      drops: dropped('NOT_SPECIFIED', 'do_xdp_generic', packets, on('eth0')),
      programs: programsOf({ programs: [heldByAgent(7)] }),
    }),
    causeFrom: 26,
  },
  {
    rule: 'tc-ingress-drop',
    evidence: (packets) => ({
      qdisc: hook('ingress', packets),
      drops: dropped('TC_INGRESS', '__netif_receive_skb_core', packets, on('eth0')),
      programs: programsOf({ programs: [heldByAgent(7)] }),
    }),
    causeFrom: 26,
  },
  {
    rule: 'tc-egress-drop',
    evidence: (packets) => ({
      qdisc: hook('egress', packets),
      drops: dropped('TC_EGRESS', '__dev_queue_xmit', packets, on('eth0')),
    }),
    causeFrom: 26,
  },
  {
    rule: 'ovs-drop',
    evidence: (packets) => ({
      drops: dropped('OVS_DROP_EXPLICIT', 'do_execute_actions', packets),
    }),
    causeFrom: 1,
  },
  {
    rule: 'wifi-drop',
    evidence: (frames) => ({
      link: links({ wlan0: { rxPackets: 500n } }),
      drops: dropped('RX_DROP_U_DECRYPT_FAIL', 'ieee80211_rx_handlers', frames),
    }),
    causeFrom: 100,
  },
  {
    rule: 'device-change',
    evidence: (packets) => ({ drops: dropped('NOT_SPECIFIED', 'flush_backlog', packets) }),
    causeFrom: 'never',
  },
  {
    rule: 'arp-noise',
    evidence: (packets) => ({
      drops: dropped('NOT_SPECIFIED', 'arp_process', packets, { protocol: EtherType.ARP }),
    }),
    causeFrom: 'never',
  },
  {
    rule: 'link-start-up',
    evidence: (packets) => ({
      // More than containers make when they start is not called harmless.
      drops: dropped('NOT_SPECIFIED', 'veth_xmit', Math.min(packets, 100), {
        protocol: EtherType.IPv6,
      }),
    }),
    causeFrom: 'never',
  },
] satisfies readonly Example[];
