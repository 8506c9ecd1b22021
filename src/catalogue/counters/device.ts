import { counterTable, loss, maybe, noLoss, type Counter } from '../counter.ts';

/** include/uapi/linux/if_link.h struct rtnl_link_stats64, Documentation/networking/statistics.rst. */
const link = counterTable('link', {
  rx_errors: loss(
    'Bad frames of any kind; the other rx_…_errors say which.',
    'nic-crc-errors',
    'nic-length-mtu',
  ),
  rx_dropped: maybe(
    'Frames dropped by software: no handler for their protocol (often harmless), a full input queue of a CPU, a peer of a veth that is down. Not the losses of the card: those are rx_missed_errors.',
    'l2-unhandled-proto',
    'softnet-backlog',
    'veth-peer',
    'bridge-vlan-filter',
  ),
  rx_missed_errors: loss(
    'Frames the card dropped because the host gave it no buffers in time.',
    'nic-rx-ring',
    'nic-rx-fifo',
  ),
  rx_fifo_errors: loss('Frames lost in a full buffer of the card.', 'nic-rx-fifo', 'nic-rx-ring'),
  rx_over_errors: loss(
    'Frames too large for a buffer of the card.',
    'nic-length-mtu',
    'nic-rx-fifo',
  ),
  rx_crc_errors: loss(
    'Frames damaged on the wire: cable, plug, optics, duplex.',
    'nic-crc-errors',
    'nic-duplex-mismatch',
  ),
  rx_frame_errors: loss('Frames with a broken alignment.', 'nic-crc-errors'),
  rx_length_errors: loss(
    'Frames too long or too short: the MTU differs between the ends.',
    'nic-length-mtu',
  ),
  rx_nohandler: noLoss(
    'Frames that came in by the idle port of a bond, which does not take them.',
    'bond-inactive-slave',
  ),
  rx_otherhost_dropped: maybe(
    'Packets whose MAC address is not ours, or with a VLAN tag for which there is no interface.',
    'l2-otherhost',
    'vlan-no-device',
  ),
  tx_errors: loss('Frames that could not be sent, of any kind.', 'nic-tx-ring', 'nic-tx-timeout'),
  tx_dropped: loss(
    'Frames dropped on the way out: the link is down, the far end of a veth refuses them, the reader of a tun device is slow, a tunnel knows no remote.',
    'link-down-tx',
    'veth-peer',
    'tun-tap-queue-full',
    'vxlan-misconfig',
    'nic-tx-ring',
  ),
  tx_fifo_errors: loss('Frames lost in a full send buffer of the card.', 'nic-tx-ring'),
  tx_aborted_errors: loss('Frames whose sending was broken off.', 'nic-tx-ring'),
  tx_carrier_errors: loss(
    'Frames lost because the link went away while sending.',
    'nic-link-flap',
    'link-down-tx',
  ),
  tx_heartbeat_errors: maybe('An old kind of transceiver did not report.'),
  tx_window_errors: loss('Late collisions: half duplex at one end only.', 'nic-duplex-mismatch'),
  collisions: maybe('Collisions on a half duplex link.', 'nic-duplex-mismatch'),
  carrier_changes: maybe('Times the link went up or down.', 'nic-link-flap'),
});

const named = (aliases: readonly string[], meaning: ReturnType<typeof loss>) => ({
  ...meaning,
  aliases,
});

/** Columns of /proc/net/dev (net/core/net-procfs.c dev_seq_printf_stats), and what netstat -i calls them. */
const dev = counterTable('dev', {
  'rx errs': named(['RX-ERR'], loss('rx_errors of the interface: bad frames.', 'nic-crc-errors')),
  'rx drop': named(
    ['RX-DRP'],
    maybe(
      'rx_dropped plus rx_missed_errors: frames without a handler (often harmless) and losses of the card in one number. Look at the two apart.',
      'l2-unhandled-proto',
      'nic-rx-ring',
      'softnet-backlog',
    ),
  ),
  'rx fifo': named(
    ['RX-OVR'],
    loss('rx_fifo_errors: frames lost in a full buffer of the card.', 'nic-rx-fifo', 'nic-rx-ring'),
  ),
  'rx frame': loss(
    'Length, overrun, checksum (CRC) and alignment errors in one number.',
    'nic-crc-errors',
    'nic-length-mtu',
  ),
  'tx errs': named(['TX-ERR'], loss('tx_errors of the interface.', 'nic-tx-ring')),
  'tx drop': named(
    ['TX-DRP'],
    loss('tx_dropped of the interface.', 'link-down-tx', 'veth-peer', 'tun-tap-queue-full'),
  ),
  'tx fifo': named(['TX-OVR'], loss('tx_fifo_errors of the interface.', 'nic-tx-ring')),
  'tx colls': maybe('Collisions on a half duplex link.', 'nic-duplex-mismatch'),
  'tx carrier': loss(
    'Carrier, abort, window and heartbeat errors in one number.',
    'nic-link-flap',
    'nic-duplex-mismatch',
  ),
});

/** Columns of net/core/net-procfs.c softnet_seq_show; one row a CPU, hexadecimal. */
const softnet = counterTable('softnet', {
  processed: noLoss('First column: packets this CPU took in.', 'cpu-softirq-saturation'),
  dropped: loss(
    'Second column: packets refused because the input queue of this CPU is full (netdev_max_backlog).',
    'softnet-backlog',
    'rps-flow-limit',
  ),
  time_squeeze: noLoss(
    'Third column: times the CPU ran out of budget with work left. No packets are lost by that.',
    'softnet-squeeze',
  ),
  received_rps: noLoss('Tenth column: times another CPU handed packets to this one (RPS).'),
  flow_limit_count: loss(
    'Eleventh column: of the dropped, those of one flow that fills the queue.',
    'rps-flow-limit',
  ),
});

const qdisc = counterTable('qdisc', {
  dropped: loss(
    'Packets the queue of an interface refused. Counted by inner and outer queues both: do not add them up.',
    'qdisc-overlimit',
    'qdisc-aqm',
    'tc-ingress-drop',
    'tc-egress-drop',
  ),
  overlimits: maybe(
    'Times a shaper or policer held a packet back or refused it.',
    'qdisc-overlimit',
    'tc-ingress-drop',
  ),
  requeues: noLoss('Packets the device did not take at once; they are sent later.'),
  drop_overlimit: loss(
    'fq_codel: packets dropped because the whole queue or its memory was full.',
    'qdisc-overlimit',
  ),
  ecn_mark: noLoss('Packets marked instead of dropped: the queue holds senders back.', 'qdisc-aqm'),
});

/** net/core/neighbour.c neigh_stat_seq_show; net/ipv4/route.c rt_cpu_seq_show. In the initial namespace. */
const lookups = [
  ...counterTable('arp_cache', {
    table_fulls: loss(
      'The neighbour table was full (gc_thresh3): no entry for a next hop.',
      'neigh-table-overflow',
    ),
    unresolved_discards: loss(
      'Packets that waited for the address of a next hop and were discarded.',
      'neigh-unresolved',
    ),
    res_failed: maybe('Next hops that did not answer.', 'neigh-unresolved'),
    forced_gc_runs: maybe(
      'The neighbour table had to be cleared out to make room.',
      'neigh-table-overflow',
    ),
  }),
  ...counterTable('rt_cache', {
    in_martian_src: loss(
      'Packets with an impossible source address, or refused by the reverse-path filter.',
      'ip-rpfilter',
      'ip-martian',
      'own-source-address',
    ),
    in_martian_dst: loss('Packets with an impossible destination address.', 'ip-martian'),
    in_no_route: loss('Packets without a route.', 'no-route-in', 'forwarding-disabled'),
  }),
];

export const deviceCounters: readonly Counter[] = [
  ...link,
  ...dev,
  ...softnet,
  ...qdisc,
  ...lookups,
];
