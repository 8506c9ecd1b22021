import { EtherType } from '../model/drops.ts';

/**
 * What it means that the kernel frees packets in one of its functions: the answer where it gives no
 * drop reason (before 5.17, or NOT_SPECIFIED). A function stands for several causes more often than
 * not, and the compiler decides which function shows (inlining, tail calls), so hardly anything here
 * is certain by itself: `confirm` says how to tell.
 */
export interface KernelLocation {
  /** Without offset and compiler suffixes; a `*` at one end stands for any rest. */
  readonly functions: readonly string[];
  /** It means this only for packets of these EtherTypes. Absent: any, and where none is known. */
  readonly protocols?: readonly number[];
  /** A phrase that can follow a number of packets. */
  readonly title: string;
  /** What the kernel does there, in plain sentences. */
  readonly meaning: string;
  readonly judgement: Judgement;
  /** Ids of the causes it may be, the likeliest first. Empty: it is no loss of packets. */
  readonly causes: readonly string[];
  /** What tells them apart, on the machine itself. */
  readonly confirm: readonly Confirmation[];
  /** Kernels it holds for, where the function does or did something else in others. */
  readonly kernels?: string;
  /** Where in the kernel source. */
  readonly reference: string;
}

/**
 * - `harmless`: nobody misses these packets, whatever the counters say
 * - `usually-harmless`: normal on any host; `meaning` and `confirm` say when it is not
 * - `depends`: as likely a fault as not; only `confirm` can tell
 * - `loss`: somebody wanted these packets
 */
export type Judgement = 'harmless' | 'usually-harmless' | 'depends' | 'loss';

export interface Confirmation {
  /** As typed by root; capital words are for the reader to fill in. */
  readonly command: string;
  /** What its output tells. */
  readonly shows: string;
}

const { IPv4, IPv6, ARP } = EtherType;

const receiveCore = [
  '__netif_receive_skb',
  '__netif_receive_skb_core',
  '__netif_receive_skb_one_core',
  '__netif_receive_skb_list_core',
  'netif_receive_skb',
  'netif_receive_skb_internal',
];

const seeFrames: Confirmation = {
  command: 'tcpdump -eni INTERFACE -c 50 not ip and not arp',
  shows: 'the EtherType of such frames and who sends them (the drops pause while it runs)',
};
const seeInterfaces: Confirmation = {
  command: 'ip -s -s link',
  shows: 'drops and errors of each interface',
};
const seeConntrack: Confirmation = {
  command: 'conntrack -S',
  shows:
    'drop rises: the connection table is full; insert_failed rises: NAT or a race; neither: a rule',
};
const seeRules: Confirmation = {
  command: 'nft list ruleset; iptables-save -c',
  shows: 'the rules that drop, with their counters',
};
const seeTcp: Confirmation = {
  command: 'nstat -az TcpInCsumErrors TcpOutRsts TcpExtListenOverflows TcpExtPAWSEstab',
  shows: 'which of these rises: bad checksums, closed ports, full accept queues, old time stamps',
};
const seeUdp: Confirmation = {
  command: 'nstat -az UdpNoPorts UdpInCsumErrors UdpRcvbufErrors UdpMemErrors UdpIgnoredMulti',
  shows:
    'which of these rises: closed ports, bad checksums, full sockets, memory, unwanted broadcast',
};

/** The first entry that fits a function and protocol holds, so that narrow ones stand before wide ones. */
export const locations: readonly KernelLocation[] = [
  // Devices and layer 2
  {
    functions: [...receiveCore],
    protocols: [IPv4, ARP],
    title: 'refused before any protocol saw them',
    meaning:
      'These are IPv4 or ARP packets, for which there is always a handler: a tc filter on ingress dropped them, the interface is a passive member of a bond, or they carry a VLAN tag for which there is no device.',
    judgement: 'depends',
    causes: ['tc-ingress-drop', 'vlan-no-device', 'bond-inactive-slave'],
    confirm: [
      { command: 'tc -s filter show dev INTERFACE ingress', shows: 'filters that drop' },
      { command: 'tcpdump -eni INTERFACE vlan', shows: 'tagged frames, with their VLAN ids' },
      seeInterfaces,
    ],
    reference: 'net/core/dev.c __netif_receive_skb_core (Linux 6.18)',
  },
  {
    functions: [...receiveCore],
    protocols: [IPv6],
    title: 'IPv6 frames without a handler',
    meaning:
      'IPv6 is off or not loaded on this host, and neighbours send it anyway; or a tc filter on ingress dropped the frames.',
    judgement: 'usually-harmless',
    causes: ['ipv6-disabled', 'tc-ingress-drop'],
    confirm: [
      {
        command: 'cat /proc/net/if_inet6',
        shows: 'the IPv6 addresses of this host; missing or empty: IPv6 is off',
      },
      { command: 'tc -s filter show dev INTERFACE ingress', shows: 'filters that drop' },
    ],
    reference: 'net/core/dev.c __netif_receive_skb_core (Linux 6.18)',
  },
  {
    functions: ['__netif_receive_skb', 'netif_receive_skb', 'netif_receive_skb_internal'],
    title:
      'frames of an unregistered protocol, of a VLAN without a device, or IPv6 while it is off',
    meaning:
      'The end of receive: no handler wanted the frame. Switches and neighbours send such frames to everybody (LLDP, STP, CDP, IPv6, frames for other VLANs). They count in rx_dropped. On a bond it is also what the passive member receives.',
    judgement: 'usually-harmless',
    causes: ['l2-unhandled-proto', 'vlan-no-device', 'ipv6-disabled', 'bond-inactive-slave'],
    confirm: [
      seeFrames,
      {
        command: 'cat /proc/net/ptype',
        shows: 'the EtherTypes that have a handler: what is not listed is an unregistered protocol',
      },
      {
        command: 'tcpdump -eni INTERFACE -c 50 vlan; cat /proc/net/vlan/config',
        shows: 'the VLAN ids that arrive, and those that have a device',
      },
      {
        command: 'cat /proc/net/if_inet6',
        shows: 'missing or empty: IPv6 is off, and EtherType 0x86dd has no handler',
      },
    ],
    kernels: 'to 3.8 by these names; later ones say __netif_receive_skb_core',
    reference: 'net/core/dev.c __netif_receive_skb (Linux 2.6.32 to 3.8)',
  },
  {
    functions: [...receiveCore],
    title: 'frames of a protocol that nothing here handles',
    meaning:
      'The end of receive: no handler wanted the frame. Switches and neighbours send such frames to everybody (LLDP, STP, CDP, LACP). They count in rx_dropped. The function also shows where a tc filter on ingress drops.',
    judgement: 'usually-harmless',
    causes: ['l2-unhandled-proto', 'tc-ingress-drop', 'vlan-no-device'],
    confirm: [
      seeFrames,
      { command: 'cat /proc/net/ptype', shows: 'the EtherTypes that have a handler' },
      { command: 'tc -s filter show dev INTERFACE ingress', shows: 'filters that drop' },
    ],
    kernels: '3.9 and later',
    reference: 'net/core/dev.c __netif_receive_skb_core (Linux 6.18)',
  },
  {
    functions: ['llc_rcv', 'snap_rcv', 'stp_pdu_rcv', 'p8022_rcv', 'br_stp_rcv', 'llc_*'],
    title: 'STP, CDP or VTP frames of switches',
    meaning: 'Switches announce themselves to every port in 802.2 LLC frames.',
    judgement: 'harmless',
    causes: ['l2-unhandled-proto'],
    confirm: [],
    reference: 'net/llc/llc_input.c llc_rcv (Linux 6.18)',
  },
  {
    functions: ['enqueue_to_backlog', 'netif_rx', 'netif_rx_internal'],
    title: 'refused by a full input queue of a CPU',
    meaning:
      'Packets of tunnels, veth, loopback or RPS came faster than one CPU could handle them, so its queue (netdev_max_backlog) was full.',
    judgement: 'loss',
    causes: ['softnet-backlog', 'rps-flow-limit'],
    confirm: [
      {
        command: 'cat /proc/net/softnet_stat',
        shows: 'one line for each CPU, hexadecimal: the second column counts these drops',
      },
    ],
    reference: 'net/core/dev.c enqueue_to_backlog (Linux 6.18)',
  },
  {
    functions: ['flush_backlog', 'dev_deactivate*', 'netif_napi_del', '__netif_napi_del'],
    title: 'queued when their interface went away',
    meaning: 'An interface was removed or set down while packets waited in its queues.',
    judgement: 'harmless',
    causes: ['link-down-tx'],
    confirm: [],
    reference: 'net/core/dev.c flush_backlog (Linux 6.18)',
  },
  {
    functions: ['sch_handle_ingress', 'ing_filter', 'tcf_classify', 'tc_classify', 'tc_run'],
    title: 'dropped by a tc filter on ingress',
    meaning: 'A filter or program that somebody attached to the interface says drop.',
    judgement: 'depends',
    causes: ['tc-ingress-drop'],
    confirm: [
      {
        command: 'tc -s filter show dev INTERFACE ingress',
        shows: 'the filter and its counters',
      },
    ],
    reference: 'net/core/dev.c tc_run (Linux 6.18)',
  },
  {
    functions: [
      'do_xdp_generic',
      'netif_receive_generic_xdp',
      'generic_xdp_tx',
      'veth_xdp_rcv_skb',
      'veth_xdp_rcv*',
    ],
    title: 'dropped by an XDP program',
    meaning: 'A program attached to the interface says drop.',
    judgement: 'depends',
    causes: ['xdp-drop'],
    confirm: [
      { command: 'ip -d link show INTERFACE', shows: 'prog/xdp id of the program' },
      { command: 'bpftool prog show id ID', shows: 'its name, and who loaded it' },
    ],
    reference: 'net/core/dev.c do_xdp_generic (Linux 6.18)',
  },
  {
    functions: ['bond_handle_frame'],
    title: 'received by a member of a bond, not copied',
    meaning: 'Memory was short, or a passive member received a frame meant for the active one.',
    judgement: 'usually-harmless',
    causes: ['bond-inactive-slave', 'alloc-failure'],
    confirm: [{ command: 'cat /proc/net/bonding/BOND', shows: 'which member is active' }],
    reference: 'drivers/net/bonding/bond_main.c bond_handle_frame (Linux 6.18)',
  },
  {
    functions: [
      'br_handle_frame',
      'br_handle_frame_finish',
      'br_flood',
      'br_forward',
      '__br_forward',
      'br_forward_finish',
      'br_dev_queue_push_xmit',
      'br_multicast_flood',
      'br_pass_frame_up',
      'br_dev_xmit',
    ],
    title: 'not forwarded by a bridge',
    meaning:
      'The port is blocked by spanning tree, no other port may have the frame (isolated, VLAN filter), or the frame is too long for the port.',
    judgement: 'depends',
    causes: ['bridge-stp-blocked', 'bridge-no-target', 'bridge-vlan-filter'],
    confirm: [
      { command: 'bridge -d link', shows: 'state, isolation and flooding of each port' },
      { command: 'bridge vlan', shows: 'the VLANs each port may carry' },
    ],
    reference: 'net/bridge/br_input.c br_handle_frame (Linux 6.18)',
  },
  {
    functions: ['vlan_do_receive', 'vlan_skb_recv', 'vlan_dev_hard_start_xmit'],
    title: 'not taken by a VLAN interface',
    meaning: 'The VLAN interface is down, filters the address, or memory was short.',
    judgement: 'depends',
    causes: ['vlan-no-device', 'link-down-tx'],
    confirm: [
      {
        command: 'ip -d link show type vlan',
        shows: 'the VLAN interfaces, their ids and whether they are up',
      },
    ],
    reference: 'net/8021q/vlan_core.c vlan_do_receive (Linux 6.18)',
  },
  {
    functions: ['macvlan_handle_frame', 'macvlan_broadcast_enqueue', 'macvlan_process_broadcast'],
    title: 'broadcasts that a macvlan interface could not queue',
    meaning: 'The queue for broadcast and multicast of a macvlan parent was full.',
    judgement: 'loss',
    causes: ['macvlan-broadcast-queue'],
    confirm: [seeInterfaces],
    reference: 'drivers/net/macvlan.c macvlan_broadcast_enqueue (Linux 6.18)',
  },
  {
    functions: [
      '__dev_forward_skb',
      '__dev_forward_skb2',
      'dev_forward_skb',
      'dev_forward_skb_nomtu',
      'veth_xmit',
    ],
    title: 'not passed on to the other end of a veth pair',
    meaning:
      'The peer is down or gone, or the packet is longer than its MTU allows. Usual for a moment while a container stops.',
    judgement: 'depends',
    causes: ['veth-peer'],
    confirm: [
      {
        command: 'ip -s -d link show type veth',
        shows: 'state, MTU and tx drops of this end; the same in the namespace of the other end',
      },
    ],
    reference: 'net/core/dev.c __dev_forward_skb2 (Linux 6.18)',
  },
  {
    functions: ['tun_net_xmit', 'tap_handle_frame', 'tun_get_user', 'tun_put_user'],
    title: 'refused by the queue of a tun or tap device',
    meaning: 'The program behind the device (a VPN, a virtual machine) reads too slowly.',
    judgement: 'loss',
    causes: ['tun-tap-queue-full'],
    confirm: [
      { command: 'ip -s link show INTERFACE', shows: 'TX dropped of the tun or tap device rises' },
    ],
    reference: 'drivers/net/tun.c tun_net_xmit (Linux 6.18)',
  },
  {
    functions: [
      'vxlan_rcv',
      'vxlan_xmit*',
      'ip_tunnel_rcv',
      'ip_tunnel_xmit',
      'gre_rcv',
      'geneve_*',
      'ipip_rcv',
      'tunnel4_rcv',
      'tunnel6_rcv',
      'tunnel46_rcv',
      'tunnel64_rcv',
    ],
    title: 'not taken by a tunnel',
    meaning: 'No tunnel has that key or VNI, the other end is unknown, or there is no route to it.',
    judgement: 'depends',
    causes: ['vxlan-misconfig', 'ip-unknown-proto'],
    confirm: [
      { command: 'ip -s -d link show type vxlan', shows: 'VNI, ports and errors of the tunnel' },
      { command: 'bridge fdb show dev INTERFACE', shows: 'the other ends it knows' },
    ],
    reference: 'drivers/net/vxlan/vxlan_core.c vxlan_rcv (Linux 6.18)',
  },
  {
    functions: ['ovs_*', 'queue_userspace_packet', 'do_execute_actions'],
    title: 'dropped by Open vSwitch',
    meaning: 'A flow says drop, or the daemon did not keep up with packets of unknown flows.',
    judgement: 'depends',
    causes: ['ovs-drop'],
    confirm: [{ command: 'ovs-dpctl show -s', shows: 'lost rises: the daemon did not keep up' }],
    reference: 'net/openvswitch/datapath.c queue_userspace_packet (Linux 6.18)',
  },
  {
    functions: ['napi_gro_complete', 'dev_gro_receive', 'napi_gro_receive', 'receive_*'],
    title: 'given up by a network driver on receive',
    meaning: 'A damaged frame, or one for which the driver got no memory.',
    judgement: 'depends',
    causes: ['nic-rx-alloc', 'nic-crc-errors'],
    confirm: [{ command: 'ethtool -S INTERFACE', shows: "the driver's own counters" }],
    reference: 'net/core/gro.c dev_gro_receive, drivers/net/virtio_net.c receive_buf (Linux 6.18)',
  },

  // Transmit
  {
    functions: [
      'net_tx_action',
      '__dev_kfree_skb_any',
      'dev_kfree_skb_any',
      'dev_kfree_skb_any_reason',
      '__dev_kfree_skb_irq',
      'dev_kfree_skb_irq',
      'dev_kfree_skb_irq_reason',
      'napi_consume_skb',
      '*_clean_tx_irq',
    ],
    title: 'freed by a driver after it had sent them',
    meaning:
      'Some drivers free sent packets with the function for drops (bnxt, e1000 and others at times). Real trouble on transmit shows in the counters of the interface.',
    judgement: 'usually-harmless',
    causes: ['nic-tx-ring'],
    confirm: [
      {
        command: 'ip -s -s link',
        shows: 'only if TX errors or TX dropped rise, packets were lost',
      },
    ],
    reference: 'net/core/dev.c net_tx_action, dev_kfree_skb_any_reason (Linux 6.18)',
  },
  {
    functions: [
      '__dev_queue_xmit',
      'dev_queue_xmit',
      '__dev_xmit_skb',
      'qdisc_drop',
      'qdisc_enqueue',
      'pfifo_enqueue',
      'bfifo_enqueue',
      'pfifo_fast_enqueue',
      'tbf_enqueue',
      'htb_enqueue',
      'hfsc_enqueue',
      'fq_enqueue',
      'fq_codel_enqueue',
      'netem_enqueue',
      'sfq_enqueue',
      'prio_enqueue',
      'cake_enqueue',
      'noop_enqueue',
    ],
    title: 'refused by the transmit queue',
    meaning:
      'The queue of the interface (qdisc) is full or shapes the traffic, the link is down, or a tc filter on egress drops.',
    judgement: 'loss',
    causes: ['qdisc-overlimit', 'link-down-tx', 'tc-egress-drop'],
    confirm: [
      {
        command: 'tc -s qdisc',
        shows: 'dropped rises: that queue is full; it does not: see the link state',
      },
      seeInterfaces,
    ],
    reference: 'net/core/dev.c __dev_xmit_skb (Linux 6.18)',
  },
  {
    functions: [
      'fq_codel_dequeue',
      '__fq_codel_dequeue',
      'codel_dequeue*',
      'codel_qdisc_dequeue',
      '__codel_qdisc_dequeue',
      'pie_*',
      'fq_pie_*',
      'cake_dequeue*',
      'red_enqueue',
      'choke_enqueue',
    ],
    title: 'dropped early by a transmit queue, on purpose',
    meaning: 'CoDel, PIE, RED and CAKE drop single packets to keep the delay low.',
    judgement: 'usually-harmless',
    causes: ['qdisc-aqm'],
    confirm: [
      { command: 'tc -s qdisc', shows: 'dropped beside sent: a small share is as it should be' },
    ],
    reference: 'net/sched/sch_fq_codel.c fq_codel_dequeue (Linux 6.18)',
  },
  {
    functions: [
      'validate_xmit_skb',
      'validate_xmit_skb_list',
      'skb_gso_segment',
      '__skb_gso_segment',
    ],
    title: 'not made ready for transmit',
    meaning: 'Segmenting, checksumming or encrypting a packet for the interface failed.',
    judgement: 'loss',
    causes: ['offload-checksum-bug', 'alloc-failure'],
    confirm: [{ command: 'ethtool -k INTERFACE', shows: 'the offloads in use' }, seeInterfaces],
    reference: 'net/core/dev.c validate_xmit_skb (Linux 6.18)',
  },
  {
    functions: ['dev_hard_start_xmit', 'sch_direct_xmit', 'start_xmit', 'dev_direct_xmit'],
    title: 'not taken by a network driver for transmit',
    meaning: 'The driver or its transmit ring refused the packet.',
    judgement: 'loss',
    causes: ['nic-tx-ring', 'link-down-tx'],
    confirm: [
      { command: 'ethtool -S INTERFACE', shows: "the driver's own counters" },
      seeInterfaces,
    ],
    reference: 'net/sched/sch_generic.c sch_direct_xmit (Linux 6.18)',
  },

  // IP
  {
    functions: ['ip_rcv', 'ip_rcv_core'],
    title: 'addressed to another machine, or with a bad IP header',
    meaning:
      'The frame was not addressed to this host (promiscuous capture, bridge port, flooding switch), carried a VLAN tag without a device, or its IP header was damaged.',
    judgement: 'usually-harmless',
    causes: ['l2-otherhost', 'vlan-no-device', 'ip-header-errors'],
    confirm: [
      {
        command: 'nstat -az IpInHdrErrors IpInTruncatedPkts IpExtInCsumErrors',
        shows: 'damaged headers, if one of them rises',
      },
      {
        command: 'ip -d -s -s link',
        shows: 'promiscuity and, since 5.19, otherhost of each interface',
      },
    ],
    reference: 'net/ipv4/ip_input.c ip_rcv_core (Linux 6.18)',
  },
  {
    functions: [
      'ip_rcv_finish',
      'ip_rcv_finish_core',
      'ip_list_rcv_finish',
      'ip_route_input_slow',
      'ip_route_input_common',
      'ip_route_input_noref',
    ],
    title: 'refused by the routing decision on receive',
    meaning:
      'The source address came by the wrong interface (rp_filter) or is impossible (martian); or it was multicast nobody here asked for, which is normal.',
    judgement: 'depends',
    causes: ['ip-rpfilter', 'ip-martian', 'own-source-address', 'multicast-not-joined'],
    confirm: [
      {
        command: 'nstat -az TcpExtIPReversePathFilter IpInAddrErrors IpExtInNoRoutes',
        shows: 'the reverse-path filter, a wrong address, no route: whichever rises',
      },
      {
        command: 'sysctl -w net.ipv4.conf.all.log_martians=1; dmesg -w',
        shows: 'the addresses, where it is rp_filter or a martian; set it back to 0 afterwards',
      },
    ],
    reference:
      'net/ipv4/ip_input.c ip_rcv_finish_core, net/ipv4/route.c ip_route_input_slow (Linux 6.18)',
  },
  {
    functions: ['ip_error'],
    title: 'with no way to go: not forwarded, no route, or a route that forbids',
    meaning:
      'The packet is not for this host, and forwarding is off, there is no route, or the route says unreachable or prohibit.',
    judgement: 'depends',
    causes: ['forwarding-disabled', 'no-route-in', 'blackhole-route'],
    confirm: [
      {
        command: 'nstat -az IpInAddrErrors IpExtInNoRoutes',
        shows: 'the first rises: forwarding is off; the second: no route',
      },
      { command: 'sysctl net.ipv4.ip_forward', shows: '0: this host is no router' },
    ],
    reference: 'net/ipv4/route.c ip_error (Linux 6.18)',
  },
  {
    functions: ['ip_forward', 'ip6_forward', 'ip_forward_finish'],
    title: 'not forwarded',
    meaning:
      'The TTL ran out, the packet is too long for the next link, or IPsec policy forbids it.',
    judgement: 'depends',
    causes: ['ip-ttl-exceeded', 'pmtu-blackhole', 'xfrm-policy'],
    confirm: [
      {
        command: 'nstat -az IpInHdrErrors IpFragFails Ip6InHdrErrors Ip6InTooBigErrors',
        shows: 'TTL or size: whichever rises',
      },
    ],
    reference: 'net/ipv4/ip_forward.c ip_forward (Linux 6.18)',
  },
  {
    functions: [
      'ip_local_deliver',
      'ip_local_deliver_finish',
      'ip_protocol_deliver_rcu',
      'ip6_protocol_deliver_rcu',
      'ip6_input',
      'ip6_input_finish',
    ],
    title: 'of an IP protocol nobody here handles, or refused by IPsec policy',
    meaning: 'The packet reached this host, and no protocol or policy accepted it.',
    judgement: 'depends',
    causes: ['ip-unknown-proto', 'xfrm-policy'],
    confirm: [
      {
        command: 'nstat -az IpInUnknownProtos Ip6InUnknownProtos',
        shows: 'rises: nothing here handles that protocol number',
      },
    ],
    reference: 'net/ipv4/ip_input.c ip_protocol_deliver_rcu (Linux 6.18)',
  },
  {
    functions: [
      'ip_expire',
      'ip6_frag_expire*',
      'ip6frag_expire*',
      'inet_frag_*',
      'ip_frag_reasm',
      'inet_frags_*',
    ],
    title: 'fragments whose rest did not arrive in time',
    meaning: 'Part of a fragmented packet was lost on the way here.',
    judgement: 'loss',
    causes: ['ip-frag-timeout'],
    confirm: [
      {
        command: 'nstat -az IpReasmTimeout IpReasmFails',
        shows: 'both rise alike: fragments are lost on the way; only the second: memory',
      },
    ],
    reference: 'net/ipv4/ip_fragment.c ip_expire (Linux 6.18)',
  },
  {
    functions: [
      'ip_defrag',
      'ip_frag_queue',
      'ip6_frag_queue',
      'nf_ct_frag6_gather',
      'ipv6_frag_rcv',
    ],
    title: 'fragments that could not be kept',
    meaning: 'The memory for reassembly is used up, or fragments overlap.',
    judgement: 'loss',
    causes: ['ip-frag-memory', 'ip-frag-timeout'],
    confirm: [
      {
        command:
          'nstat -az IpReasmFails IpReasmTimeout IpReasmOverlaps; sysctl net.ipv4.ipfrag_high_thresh',
        shows: 'failures beyond the timeouts are memory or overlaps',
      },
    ],
    reference: 'net/ipv4/ip_fragment.c ip_defrag (Linux 6.18)',
  },
  {
    functions: ['ip_finish_output2', 'ip6_finish_output2'],
    title: 'without an entry in the neighbour table',
    meaning: 'The table of neighbours is full, or memory was short.',
    judgement: 'loss',
    causes: ['neigh-table-overflow'],
    confirm: [
      {
        command: 'ip neigh | wc -l; sysctl net.ipv4.neigh.default.gc_thresh3',
        shows: 'the first near the second: the table is full',
      },
    ],
    reference: 'net/ipv4/ip_output.c ip_finish_output2 (Linux 6.18)',
  },
  {
    functions: ['ip_finish_output', 'ip6_finish_output'],
    title: 'refused on output by a BPF program of a cgroup',
    meaning: 'A program attached to the control group of the sender says drop.',
    judgement: 'depends',
    causes: ['cgroup-bpf-egress'],
    confirm: [{ command: 'bpftool cgroup tree', shows: 'the programs attached' }],
    reference: 'net/ipv4/ip_output.c ip_finish_output (Linux 6.18)',
  },
  {
    functions: ['ip_fragment', 'ip_do_fragment', 'ip6_fragment'],
    title: 'too long for the next link',
    meaning: 'The packet must not be fragmented, and is longer than the MTU.',
    judgement: 'loss',
    causes: ['pmtu-blackhole'],
    confirm: [{ command: 'nstat -az IpFragFails Ip6FragFails', shows: 'rises with each' }],
    reference: 'net/ipv4/ip_output.c ip_fragment (Linux 6.18)',
  },
  {
    functions: ['__ip_queue_xmit', 'ip_queue_xmit'],
    title: 'sent by this host without a route',
    meaning: 'The route of a connection is gone.',
    judgement: 'loss',
    causes: ['no-route-out'],
    confirm: [{ command: 'nstat -az IpOutNoRoutes', shows: 'rises with each' }],
    reference: 'net/ipv4/ip_output.c __ip_queue_xmit (Linux 6.18)',
  },
  {
    functions: ['ip_mc_output', 'ip_mr_forward', 'ip_mr_input', 'ipmr_*', 'ip6_mr_*', 'ip6mr_*'],
    title: 'multicast that is not forwarded',
    meaning: 'No multicast route takes the packet.',
    judgement: 'usually-harmless',
    causes: ['multicast-not-joined'],
    confirm: [{ command: 'cat /proc/net/ip_mr_cache', shows: 'the multicast routes' }],
    reference: 'net/ipv4/ipmr.c ip_mr_input (Linux 6.18)',
  },
  {
    functions: ['ip6_mc_input', 'ip6_rcv_core', 'ipv6_rcv', 'ip6_rcv_finish'],
    title: 'IPv6 packets that nobody here asked for',
    meaning:
      'Multicast that no program joined, packets for another machine, or IPv6 that is off on the interface.',
    judgement: 'usually-harmless',
    causes: ['multicast-not-joined', 'l2-otherhost', 'ipv6-disabled'],
    confirm: [
      {
        command: 'nstat -az Ip6InHdrErrors Ip6InAddrErrors Ip6InDiscards',
        shows: 'a fault only if one of them rises',
      },
    ],
    reference: 'net/ipv6/ip6_input.c ip6_rcv_core, ip6_mc_input (Linux 6.18)',
  },
  {
    functions: ['ip6_pkt_discard', 'ip6_pkt_drop', 'ip6_pkt_prohibit', 'ip6_pkt_discard_out'],
    title: 'IPv6 packets with no way to go',
    meaning:
      'There is no IPv6 route, forwarding is off, or the route forbids it. Usual for a second after a link comes up.',
    judgement: 'depends',
    causes: ['no-route-in', 'forwarding-disabled', 'blackhole-route'],
    confirm: [
      {
        command: 'nstat -az Ip6InNoRoutes Ip6OutNoRoutes',
        shows: 'no route, on receive or on send',
      },
      { command: 'ip -6 route', shows: 'the routes there are' },
    ],
    reference: 'net/ipv6/route.c ip6_pkt_drop (Linux 6.18)',
  },
  {
    functions: [
      'xfrm_input',
      'xfrm_output*',
      'xfrm4_*',
      'xfrm6_*',
      '__xfrm_policy_check',
      'esp_input*',
    ],
    title: 'refused by IPsec',
    meaning: 'No state or policy fits the packet, or it could not be decrypted.',
    judgement: 'loss',
    causes: ['xfrm-policy'],
    confirm: [
      { command: 'cat /proc/net/xfrm_stat', shows: 'the counter that rises names the reason' },
    ],
    reference: 'net/xfrm/xfrm_input.c xfrm_input (Linux 6.18)',
  },

  // Netfilter
  {
    functions: ['nf_hook_slow', 'nf_hook_slow_list', 'nf_iterate'],
    title: 'dropped by netfilter: a firewall rule, or connection tracking',
    meaning:
      'A rule or policy said drop, the connection table is full, or NAT found no free port. The function is the same for all of them.',
    judgement: 'depends',
    causes: ['nf-rule-drop', 'nf-conntrack-full', 'nf-conntrack-insert-failed', 'bridge-netfilter'],
    confirm: [seeConntrack, seeRules],
    reference: 'net/netfilter/core.c nf_hook_slow (Linux 6.18)',
  },
  {
    functions: [
      'nft_do_chain',
      'nft_do_chain_*',
      'ipt_do_table',
      'ip6t_do_table',
      'ebt_do_table',
      'arpt_do_table',
      'nf_reject*',
      'reject_tg*',
    ],
    title: 'dropped by a firewall rule',
    meaning: 'A rule or the policy of a chain said drop.',
    judgement: 'depends',
    causes: ['nf-rule-drop'],
    confirm: [seeRules],
    reference: 'net/netfilter/nf_tables_core.c nft_do_chain (Linux 6.18)',
  },
  {
    functions: ['nf_queue', 'nf_reinject', 'nfqnl_*', '__nfqnl_enqueue_packet'],
    title: 'not taken by the program behind an NFQUEUE rule',
    meaning: 'The program is gone or too slow, so its queue was full; or its verdict was drop.',
    judgement: 'loss',
    causes: ['nfqueue-drop'],
    confirm: [
      {
        command: 'cat /proc/net/netfilter/nfnetlink_queue',
        shows: 'columns 6 and 7: dropped by a full queue, dropped on the way to the program',
      },
    ],
    reference: 'net/netfilter/nfnetlink_queue.c __nfqnl_enqueue_packet (Linux 6.18)',
  },
  {
    functions: ['ipv4_synproxy_hook', 'ipv6_synproxy_hook', 'synproxy_*'],
    title: 'answered by SYNPROXY in place of the service',
    meaning: 'SYNPROXY takes the first packets of a connection itself, as it was told to.',
    judgement: 'harmless',
    causes: [],
    confirm: [],
    reference: 'net/netfilter/nf_synproxy_core.c (Linux 6.18)',
  },
  {
    functions: ['nf_conntrack_*', 'nf_nat_*', '__nf_conntrack_*', 'nf_ct_*'],
    title: 'refused by connection tracking or NAT',
    meaning: 'The connection table is full, or a new connection could not be entered.',
    judgement: 'loss',
    causes: ['nf-conntrack-full', 'nf-conntrack-insert-failed', 'nf-conntrack-invalid'],
    confirm: [seeConntrack],
    reference: 'net/netfilter/nf_conntrack_core.c nf_conntrack_in (Linux 6.18)',
  },

  // Neighbours
  {
    functions: ['arp_process', 'arp_rcv', 'parp_redo'],
    title: 'ARP that this host has no use for',
    meaning:
      'ARP for other machines, or malformed. Old kernels free every ARP packet here, also those they answered.',
    judgement: 'usually-harmless',
    causes: ['arp-conflict-or-flux'],
    confirm: [],
    reference: 'net/ipv4/arp.c arp_process (Linux 6.18)',
  },
  {
    functions: ['arp_error_report', 'neigh_invalidate', 'ndisc_error_report'],
    title: 'waiting for a neighbour that did not answer',
    meaning:
      'The next hop does not answer ARP or neighbour discovery: it is off, or not on this link.',
    judgement: 'loss',
    causes: ['neigh-unresolved'],
    confirm: [
      {
        command: 'ip neigh show nud failed; ip neigh show nud incomplete',
        shows: 'who does not answer',
      },
    ],
    reference: 'net/core/neighbour.c neigh_invalidate (Linux 6.18)',
  },
  {
    functions: ['__neigh_event_send', 'neigh_event_send', 'neigh_event_send_probe'],
    title: 'too many for the queue of a neighbour not yet resolved',
    meaning: 'More packets came than may wait for the answer to ARP or neighbour discovery.',
    judgement: 'loss',
    causes: ['neigh-unresolved'],
    confirm: [
      {
        command: 'ip neigh show nud failed; ip neigh show nud incomplete',
        shows: 'who does not answer',
      },
    ],
    reference: 'net/core/neighbour.c __neigh_event_send (Linux 6.18)',
  },
  {
    functions: [
      'neigh_resolve_output',
      'neigh_connected_output',
      'neigh_blackhole',
      'neigh_proxy_process',
    ],
    title: 'for a neighbour that is gone',
    meaning: 'The entry of the next hop was deleted, or its link header could not be made.',
    judgement: 'loss',
    causes: ['neigh-unresolved', 'link-down-tx'],
    confirm: [{ command: 'ip neigh', shows: 'the state of each neighbour' }],
    reference: 'net/core/neighbour.c neigh_resolve_output (Linux 6.18)',
  },

  // ICMP, IGMP, raw and packet sockets
  {
    functions: [
      'ping_rcv',
      'ping_queue_rcv_skb',
      'icmp_rcv',
      'icmpv6_rcv',
      'icmp_unreach',
      'ndisc_rcv',
      'ndisc_recv_ns',
    ],
    title: 'ICMP messages with no taker',
    meaning:
      'Answers to a ping that uses a raw socket (the program has its copy), broadcast pings, and ICMP errors for connections that are over.',
    judgement: 'usually-harmless',
    causes: ['icmp-noise'],
    confirm: [
      {
        command: 'nstat -az IcmpInErrors IcmpInCsumErrors',
        shows: 'a fault only if one of them rises',
      },
    ],
    reference: 'net/ipv4/ping.c ping_rcv, net/ipv4/icmp.c icmp_rcv (Linux 6.18)',
  },
  {
    functions: ['igmp_rcv', 'igmp_*', 'mld_*', 'igmp6_*', 'igmpv3_*'],
    title: 'multicast membership messages',
    meaning:
      'Queries and reports of IGMP and MLD. Old kernels free every one here, also those they acted on.',
    judgement: 'harmless',
    causes: ['multicast-not-joined'],
    confirm: [],
    reference: 'net/ipv4/igmp.c igmp_rcv (Linux 2.6.32 to 6.18)',
  },
  {
    functions: ['packet_rcv', 'tpacket_rcv', 'packet_rcv_fanout', 'packet_rcv_spkt', 'run_filter'],
    title: 'copies of packets that a capture did not take',
    meaning:
      'tcpdump, a DHCP client or another program with a packet socket filters the packet out or is too slow. The packet itself went on. At most the capture is incomplete.',
    judgement: 'harmless',
    causes: ['raw-or-packet-socket-full'],
    confirm: [],
    reference: 'net/packet/af_packet.c packet_rcv (Linux 6.18)',
  },
  {
    functions: [
      'raw_rcv',
      'raw_rcv_skb',
      'raw_v4_input',
      'raw_local_deliver',
      'rawv6_rcv',
      'rawv6_rcv_skb',
      'raw6_local_deliver',
    ],
    title: 'copies of packets that a raw socket did not take',
    meaning:
      'A program with a raw socket (ping, a routing daemon) filters them out or is too slow.',
    judgement: 'usually-harmless',
    causes: ['raw-or-packet-socket-full', 'xfrm-policy'],
    confirm: [{ command: 'cat /proc/net/raw /proc/net/raw6', shows: 'drops of each raw socket' }],
    reference: 'net/ipv4/raw.c raw_rcv (Linux 6.18)',
  },

  // UDP
  {
    functions: [
      '__udp4_lib_rcv',
      '__udp6_lib_rcv',
      'udp_rcv',
      'udpv6_rcv',
      'udp4_lib_rcv',
      '__udp4_lib_mcast_deliver',
      '__udp6_lib_mcast_deliver',
    ],
    title: 'UDP datagrams for a port nobody listens on',
    meaning:
      'Closed ports, broadcast and multicast that no program here takes, late answers. Rarely a bad checksum.',
    judgement: 'usually-harmless',
    causes: ['no-socket-udp', 'multicast-not-joined', 'udp-csum-error'],
    confirm: [seeUdp, { command: 'ss -lunp', shows: 'the ports somebody listens on' }],
    reference: 'net/ipv4/udp.c __udp4_lib_rcv (Linux 6.18)',
  },
  {
    functions: [
      'udp_queue_rcv_one_skb',
      'udp_queue_rcv_skb',
      '__udp_queue_rcv_skb',
      'udpv6_queue_rcv_skb',
      'udpv6_queue_rcv_one_skb',
      'sock_queue_rcv_skb',
      'sock_queue_rcv_skb_reason',
      '__sock_queue_rcv_skb',
    ],
    title: 'UDP datagrams that a socket could not take',
    meaning:
      'The receive buffer of the socket is full: the program reads too slowly, or the buffer is small. Also a socket filter or a bad checksum.',
    judgement: 'loss',
    causes: ['udp-rcvbuf-full', 'socket-filter-drop', 'udp-csum-error'],
    confirm: [seeUdp, { command: 'ss -uamnp', shows: 'skmem d… counts the drops of each socket' }],
    reference: 'net/ipv4/udp.c udp_queue_rcv_one_skb (Linux 6.18)',
  },
  {
    functions: ['__udp_enqueue_schedule_skb', 'udp_rmem_schedule'],
    title: 'UDP datagrams that found no memory or no room in the socket',
    meaning: 'The receive buffer of the socket is full, or UDP as a whole is above udp_mem.',
    judgement: 'loss',
    causes: ['udp-rcvbuf-full', 'udp-mem-exhausted'],
    confirm: [
      seeUdp,
      {
        command: 'cat /proc/net/sockstat; sysctl net.ipv4.udp_mem',
        shows: 'UDP mem against the third value',
      },
    ],
    reference: 'net/ipv4/udp.c __udp_enqueue_schedule_skb (Linux 6.18)',
  },
  {
    functions: [
      'udp_recvmsg',
      'udpv6_recvmsg',
      '__first_packet_length',
      'first_packet_length',
      'skb_consume_udp',
    ],
    title: 'UDP datagrams with a bad checksum, found when they were read',
    meaning: 'The checksum is verified as the program reads: the datagram was damaged on the way.',
    judgement: 'loss',
    causes: ['udp-csum-error'],
    confirm: [{ command: 'nstat -az UdpInCsumErrors Udp6InCsumErrors', shows: 'rises with each' }],
    reference: 'net/ipv4/udp.c __first_packet_length (Linux 6.18)',
  },
  {
    functions: ['ip_recv_error', 'ipv6_recv_error', 'sock_dequeue_err_skb', 'skb_errqueue_purge'],
    title: 'error messages a program has read',
    meaning:
      'ICMP errors and time stamps in the error queue of a socket, freed once the program has them.',
    judgement: 'harmless',
    causes: [],
    confirm: [],
    reference: 'net/ipv4/ip_sockglue.c ip_recv_error (Linux 3.10)',
  },

  // TCP
  {
    functions: [
      'cookie_v4_check',
      'cookie_v6_check',
      'tcp_v4_syn_recv_sock',
      'tcp_v6_syn_recv_sock',
      'tcp_conn_request',
      'tcp_v4_conn_request',
      'tcp_v6_conn_request',
    ],
    title: 'new TCP connections that found no room',
    meaning: 'The accept queue or the SYN queue of a listening socket is full.',
    judgement: 'loss',
    causes: ['tcp-listen-overflow', 'tcp-syn-queue'],
    confirm: [
      { command: 'ss -lnt', shows: 'Recv-Q above Send-Q: that accept queue is full' },
      {
        command: 'nstat -az TcpExtListenOverflows TcpExtListenDrops TcpExtTCPReqQFullDrop',
        shows: 'which queue',
      },
    ],
    reference: 'net/ipv4/syncookies.c cookie_v4_check (Linux 6.18)',
  },
  {
    functions: ['tcp_v4_rcv', 'tcp_v6_rcv'],
    title: 'TCP segments for no open connection',
    meaning:
      'Late segments of connections that are over, answers to closed ports, port scans. Every busy host has them. Rarely bad checksums or a full accept queue.',
    judgement: 'usually-harmless',
    causes: ['no-socket-tcp', 'tcp-csum-error', 'tcp-listen-overflow', 'tcp-auth-mismatch'],
    confirm: [seeTcp, { command: 'ss -lntp', shows: 'the ports somebody listens on' }],
    reference: 'net/ipv4/tcp_ipv4.c tcp_v4_rcv (Linux 6.18)',
  },
  {
    functions: ['tcp_v4_do_rcv', 'tcp_v6_do_rcv', 'tcp_child_process', 'tcp_check_req'],
    title: 'TCP segments that did not fit their connection',
    meaning:
      'Resets, repeated segments, and data for a program that has closed the connection. Normal in small numbers. Rarely bad checksums.',
    judgement: 'usually-harmless',
    causes: ['tcp-sequence-noise', 'tcp-closed-with-data', 'tcp-csum-error'],
    confirm: [seeTcp],
    reference: 'net/ipv4/tcp_ipv4.c tcp_v4_do_rcv (Linux 6.18)',
  },
  {
    functions: [
      'tcp_rcv_established',
      'tcp_data_queue',
      'tcp_data_queue_ofo',
      'tcp_validate_incoming',
      'tcp_drop',
      'tcp_drop_reason',
      'tcp_queue_rcv',
      'tcp_try_coalesce',
      'tcp_ofo_queue',
    ],
    title: 'TCP segments that were repeated, old or outside the window',
    meaning:
      'Data that had arrived already, or numbers that do not fit. A symptom of loss or delay elsewhere at most; a large number can be a receive buffer that is full.',
    judgement: 'usually-harmless',
    causes: ['tcp-sequence-noise', 'tcp-rcvbuf-prune', 'tcp-paws'],
    confirm: [
      {
        command:
          'nstat -az TcpExtDelayedACKLost TcpExtTCPDSACKOldSent TcpExtPruneCalled TcpExtRcvPruned TcpExtPAWSEstab TcpExtTCPRcvQDrop',
        shows: 'repeats, a full receive buffer, old time stamps: whichever rises',
      },
    ],
    reference: 'net/ipv4/tcp_input.c tcp_rcv_established, tcp_data_queue (Linux 6.18)',
  },
  {
    functions: [
      'tcp_rcv_state_process',
      'tcp_rcv_synsent_state_process',
      'tcp_timewait_state_process',
      'tcp_time_wait',
      'tcp_fin',
      'tcp_reset',
      'tcp_done',
    ],
    title: 'TCP segments while a connection opens or closes',
    meaning:
      'The last acknowledgements and resets of connections that end. Kernels before 4.4 also drop a SYN here when a listening queue is full.',
    judgement: 'usually-harmless',
    causes: ['benign-socket-teardown', 'tcp-closed-with-data', 'tcp-listen-overflow'],
    confirm: [
      {
        command: 'nstat -az TcpExtListenOverflows TcpExtListenDrops',
        shows: 'a full listening queue, if one rises',
      },
    ],
    reference: 'net/ipv4/tcp_input.c tcp_rcv_state_process (Linux 2.6.32 to 6.18)',
  },
  {
    functions: ['tcp_prune_ofo_queue', 'tcp_prune_queue', 'tcp_collapse*', 'tcp_try_rmem_schedule'],
    title: 'TCP data thrown out of a full receive buffer',
    meaning:
      'The program reads too slowly for its buffer, or TCP memory is short; the peer sends again.',
    judgement: 'loss',
    causes: ['tcp-rcvbuf-prune', 'tcp-mem-pressure'],
    confirm: [
      {
        command: 'nstat -az TcpExtPruneCalled TcpExtRcvPruned TcpExtOfoPruned',
        shows: 'rise with it',
      },
      { command: 'ss -tamnp', shows: 'a large Recv-Q names the slow program' },
    ],
    reference: 'net/ipv4/tcp_input.c tcp_prune_ofo_queue (Linux 6.18)',
  },
  {
    functions: ['__sk_receive_skb', 'sk_add_backlog', 'tcp_add_backlog'],
    title: 'TCP segments that a busy socket could not queue',
    meaning: 'The socket was in use by its program, and the queue for the meantime was full.',
    judgement: 'loss',
    causes: ['tcp-backlog-drop'],
    confirm: [{ command: 'nstat -az TcpExtTCPBacklogDrop', shows: 'rises with each' }],
    reference: 'net/ipv4/tcp_ipv4.c tcp_add_backlog (Linux 6.18)',
  },
  {
    functions: [
      'tcp_ack',
      'tcp_clean_rtx_queue',
      'tcp_recvmsg',
      'tcp_recvmsg_locked',
      'tcp_cleanup_rbuf',
      'sk_wmem_free_skb',
      'tcp_write_queue_purge',
      'tcp_rtx_queue_purge',
      'skb_rbtree_purge',
      'tcp_close',
      '__tcp_close',
      'tcp_disconnect',
      'tcp_v4_destroy_sock',
      'inet_csk_destroy_sock',
      'inet_csk_listen_stop',
      'inet_sock_destruct',
      'udp_destruct_common',
      'udp_destruct_sock',
      'udpv6_destruct_sock',
      'sk_stream_kill_queues',
      'skb_queue_purge',
      '__skb_queue_purge',
      'skb_queue_purge_reason',
      'packet_release',
    ],
    title: 'data left in sockets that were closed, or that was acknowledged',
    meaning:
      'A socket that is closed frees what its queues still hold; nobody was going to read it.',
    judgement: 'harmless',
    causes: ['benign-socket-teardown'],
    confirm: [],
    reference: 'net/core/stream.c sk_stream_kill_queues (Linux 2.6.32 to 6.18)',
  },
  {
    functions: ['inet_csk_reset_xmit_timer'],
    title: 'TCP housekeeping under a name that can only be the nearest one',
    meaning:
      'This helper sets a timer and frees nothing: the code that does lies behind it, without a name of its own. Around it TCP frees acknowledged and abandoned data.',
    judgement: 'harmless',
    causes: ['benign-socket-teardown'],
    confirm: [],
    kernels: '2.6 and 3.x',
    reference: 'include/net/inet_connection_sock.h inet_csk_reset_xmit_timer (Linux 2.6.32)',
  },

  // Inside the machine
  {
    functions: ['unix_*', 'manage_oob'],
    title: 'messages of local sockets (AF_UNIX)',
    meaning:
      'Messages between programs on this machine (syslog, nscd, D-Bus) whose receiver is gone or was restarted. No packet of a network.',
    judgement: 'harmless',
    causes: ['internal'],
    confirm: [],
    reference: 'net/unix/af_unix.c unix_release_sock, unix_dgram_connect (Linux 2.6.32 to 6.18)',
  },
  {
    functions: [
      'netlink_*',
      'do_one_broadcast',
      'nfnetlink_rcv*',
      'nlmsg_notify',
      'rtnetlink_send',
      'rtnl_notify',
      'audit_log_end',
      'kauditd_*',
      'uevent_net_broadcast*',
    ],
    title: 'netlink messages between kernel and programs',
    meaning:
      'A program that watches the kernel closed its socket or reads too slowly. No packet of a network.',
    judgement: 'harmless',
    causes: ['netlink-overrun'],
    confirm: [],
    reference: 'net/netlink/af_netlink.c do_one_broadcast (Linux 6.18)',
  },
  {
    functions: ['virtio_transport_*', 'vsock_*', 'vmci_transport_*'],
    title: 'messages between this virtual machine and its host (vsock)',
    meaning: 'The agent of the hypervisor, not a packet of a network.',
    judgement: 'harmless',
    causes: ['internal'],
    confirm: [],
    reference: 'net/vmw_vsock/virtio_transport_common.c virtio_transport_recv_pkt (Linux 6.18)',
  },
  {
    functions: [
      'kfree_skb_list*',
      'skb_release_data',
      'skb_release_all',
      'skb_free_head',
      '__kfree_skb',
      'kfree_skb*',
      'sk_skb_reason_drop',
      'kfree_skb_partial',
    ],
    title: 'freed as part of a larger packet or list',
    meaning: 'The function only frees; who gave the packet up stands above it in the stack.',
    judgement: 'depends',
    causes: [],
    confirm: [
      {
        command: 'perf record -g -a -e skb:kfree_skb sleep 10; perf script | whydrop import -',
        shows: 'the same with the stack, which names the function that gave up',
      },
    ],
    reference: 'net/core/skbuff.c skb_release_data (Linux 6.18)',
  },
];

/**
 * What it means that packets were freed in a function. Undefined: not known.
 *
 * @param name without offset and compiler suffixes
 * @param protocol EtherType, where it is known
 */
export function findLocation(name: string, protocol?: number): KernelLocation | undefined {
  return locations.find(
    ({ functions, protocols }) =>
      functions.some((pattern) => matches(pattern, name)) &&
      (protocols === undefined || (protocol !== undefined && protocols.includes(protocol))),
  );
}

/** All that is known of a function, for any protocol; first the entry that holds first. */
export function locationsOf(name: string): readonly KernelLocation[] {
  return locations.filter(({ functions }) => functions.some((pattern) => matches(pattern, name)));
}

function matches(pattern: string, name: string): boolean {
  if (pattern.startsWith('*')) return name.endsWith(pattern.slice(1));
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : pattern === name;
}
