/**
 * What the statistics of `ethtool -S` mean, driver by driver. Names differ between drivers, and the
 * same name has opposite meanings (`rx_discards`: no descriptor on tg3, full port buffer elsewhere).
 * Read from the driver sources of Linux 6.12 (drivers/net) and Documentation/networking.
 *
 * A name is written as a template: every number in it is `N` (`rx_queue_N_drops`), so that one line
 * stands for all queues; see `sumByTemplate` of checks/ethtool.ts.
 */
export interface NicDriver {
  /** Packets lost because the host had no free receive descriptor. One packet may sit in several. */
  readonly ring?: readonly string[];
  /**
   * Times the device found the ring empty. The packet may still be saved by the device's own buffer;
   * what was lost is in the interface statistic `lostIn`, among other losses.
   */
  readonly ringEmpty?: {
    readonly templates: readonly string[];
    /** `packets`: rises once for each packet that met an empty ring, so no more than that were lost. */
    readonly counts: 'packets' | 'times';
    readonly lostIn: 'rxMissed' | 'rxDropped';
  };
  /** Packets lost in the device: its buffer, its firmware, PCIe. A larger ring does not help. */
  readonly port?: readonly string[];
  /** No memory for a receive buffer. */
  readonly alloc?: readonly string[];
  /** Frames that were damaged on the wire. */
  readonly crc?: readonly string[];
  /** Frames longer than this port takes, or than they say themselves. */
  readonly length?: readonly string[];
  /** Packets with a wrong IP, TCP or UDP checksum; most drivers pass them on. */
  readonly checksum?: readonly string[];
  /** Frames the driver or the device threw away instead of sending. */
  readonly tx?: readonly string[];
  /** The same, for want of a link. */
  readonly txNoLink?: readonly string[];
  /** Times the transmit queue was full or late. The frames wait: nothing is lost by that. */
  readonly txWait?: readonly string[];
  /** Times the transmit queue was reset because the device sent nothing for seconds. */
  readonly txTimeout?: readonly string[];
  /** Frames refused by a filter: of addresses, VLANs, flows, or forged senders. */
  readonly filter?: readonly string[];
  /** Packets queued or dropped because the limit of the cloud instance was exceeded. */
  readonly allowance?: readonly string[];
  /** Frames by which the other end asked to stop sending. */
  readonly rxPause?: readonly string[];
  /** Frames by which this end asked for that. */
  readonly txPause?: readonly string[];
  /** Times this port asked so long that the card gave up. */
  readonly pauseStorm?: readonly string[];
  /** What feeds `rx_missed_errors` of the interface; absent: nothing, or a mixture. */
  readonly rxMissed?: 'ring' | 'port';
  /** What feeds `rx_fifo_errors`. */
  readonly rxFifo?: 'ring' | 'port';
  /**
   * `queues`: a new ring size restarts queues, and the link stays up. Absent: the driver stops and
   * starts the whole interface, or is not known not to.
   */
  readonly resizeRestarts?: 'queues';
}

/** By driver name as `ethtool -i` prints it. */
const drivers: Readonly<Record<string, NicDriver>> = {
  mlx5_core: {
    ring: ['rx_out_of_buffer'],
    port: [
      'rx_discards_phy',
      'rx_prioN_discards',
      'rx_prioN_buf_discard',
      'outbound_pci_buffer_overflow',
    ],
    alloc: ['rx_buff_alloc_err', 'rxN_buff_alloc_err'],
    crc: ['rx_crc_errors_phy', 'rx_symbol_err_phy', 'rx_undersize_pkts_phy'],
    length: ['rx_oversize_pkts_phy', 'rx_oversize_pkts_sw_drop'],
    tx: ['tx_queue_dropped', 'tx_discards_phy', 'tx_errors_phy'],
    rxMissed: 'ring',
    resizeRestarts: 'queues',
    rxPause: ['rx_pause_ctrl_phy'],
    txPause: ['tx_pause_ctrl_phy'],
    pauseStorm: ['tx_pause_storm_warning_events', 'tx_pause_storm_error_events'],
    filter: ['rx_steer_missed_packets'],
  },
  mlx4_en: {
    ring: ['rx_fifo_errors'],
    alloc: ['rxN_dropped'],
    crc: ['rx_crc_errors', 'rx_jabbers'],
    length: ['rx_in_range_length_error', 'rx_out_range_length_error'],
    tx: ['tx_dropped'],
    txTimeout: ['tx_timeout'],
    rxFifo: 'ring',
  },
  ixgbe: {
    ring: ['rx_no_dma_resources'],
    // 82598 only.
    ringEmpty: { templates: ['rx_no_buffer_count'], counts: 'packets', lostIn: 'rxMissed' },
    port: ['rx_missed_errors'],
    alloc: ['alloc_rx_page_failed', 'alloc_rx_buff_failed'],
    crc: ['rx_crc_errors', 'rx_short_length_errors'],
    length: ['rx_long_length_errors'],
    txTimeout: ['tx_timeout_count'],
    rxMissed: 'port',
    rxPause: ['rx_flow_control_xoff'],
    txPause: ['tx_flow_control_xoff'],
  },
  i40e: {
    // The netdev statistics of the VSI; `rx_dropped` beside it counts filtered frames.
    ring: ['rx_missed_errors'],
    port: ['port.rx_discards', 'veb.rx_discards'],
    alloc: ['rx_alloc_fail', 'rx_pg_alloc_fail'],
    crc: ['port.rx_crc_errors', 'port.rx_jabber'],
    length: ['port.rx_length_errors', 'port.rx_oversize'],
    txTimeout: ['port.tx_timeout'],
    txNoLink: ['port.tx_dropped_link_down'],
    rxMissed: 'ring',
    rxPause: ['port.link_xoff_rx'],
    txPause: ['port.link_xoff_tx'],
  },
  ice: {
    // GLV_RDPC of the VSI, not the `rx_dropped` of the interface.
    ring: ['rx_dropped'],
    port: ['rx_dropped.nic'],
    alloc: ['rx_alloc_fail', 'rx_pg_alloc_fail'],
    crc: ['rx_crc_errors.nic', 'rx_jabber.nic'],
    length: ['rx_oversize.nic'],
    txTimeout: ['tx_timeout.nic'],
    txNoLink: ['tx_dropped_link_down.nic'],
    rxMissed: 'port',
    rxPause: ['link_xoff_rx.nic'],
    txPause: ['link_xoff_tx.nic'],
  },
  iavf: {
    ring: ['rx_discards'],
    tx: ['tx_discards', 'tx_errors'],
  },
  idpf: {
    tx: ['tx-skb_drops'],
  },
  igb: {
    ring: ['rx_queue_N_drops'],
    ringEmpty: { templates: ['rx_no_buffer_count'], counts: 'packets', lostIn: 'rxMissed' },
    port: ['rx_missed_errors'],
    alloc: ['rx_queue_N_alloc_failed'],
    crc: ['rx_crc_errors', 'rx_short_length_errors'],
    length: ['rx_long_length_errors'],
    txTimeout: ['tx_timeout_count'],
    rxMissed: 'port',
    // The sum of both: never evidence of its own.
    rxFifo: 'port',
    rxPause: ['rx_flow_control_xoff'],
    txPause: ['tx_flow_control_xoff'],
  },
  igc: {
    ring: ['rx_queue_N_drops'],
    ringEmpty: { templates: ['rx_no_buffer_count'], counts: 'packets', lostIn: 'rxMissed' },
    port: ['rx_missed_errors'],
    alloc: ['rx_queue_N_alloc_failed'],
    crc: ['rx_crc_errors', 'rx_short_length_errors'],
    length: ['rx_long_length_errors'],
    txTimeout: ['tx_timeout_count'],
    rxMissed: 'port',
    rxFifo: 'port',
    rxPause: ['rx_flow_control_xoff'],
    txPause: ['tx_flow_control_xoff'],
  },
  e1000e: {
    ringEmpty: { templates: ['rx_no_buffer_count'], counts: 'packets', lostIn: 'rxMissed' },
    port: ['rx_missed_errors', 'rx_over_errors'],
    alloc: ['alloc_rx_buff_failed'],
    crc: ['rx_crc_errors', 'rx_short_length_errors'],
    length: ['rx_long_length_errors'],
    tx: ['tx_fifo_errors'],
    txTimeout: ['tx_timeout_count'],
    rxMissed: 'port',
    rxPause: ['rx_flow_control_xoff'],
    txPause: ['tx_flow_control_xoff'],
  },
  e1000: {
    ringEmpty: { templates: ['rx_no_buffer_count'], counts: 'packets', lostIn: 'rxMissed' },
    port: ['rx_missed_errors', 'rx_over_errors'],
    alloc: ['alloc_rx_buff_failed'],
    crc: ['rx_crc_errors', 'rx_short_length_errors'],
    length: ['rx_long_length_errors'],
    tx: ['tx_fifo_errors'],
    txTimeout: ['tx_timeout_count'],
    rxMissed: 'port',
    rxPause: ['rx_flow_control_xoff'],
    txPause: ['tx_flow_control_xoff'],
  },
  bnxt_en: {
    // The total is newer (6.3) than the lines of the queues.
    ring: ['rx_total_ring_discards', '[N]: rx_discards'],
    port: ['rx_stat_discard'],
    alloc: ['rx_total_oom_discards'],
    crc: ['rx_fcs_err_frames'],
    checksum: ['rx_total_l4_csum_errors'],
    tx: ['tx_total_ring_discards', '[N]: tx_discards'],
    rxMissed: 'ring',
    rxPause: ['rx_pause_frames'],
    txPause: ['tx_pause_frames'],
  },
  bnx2x: {
    ring: ['rx_discards'],
    port: ['rx_brb_discard'],
    alloc: ['rx_skb_alloc_discard'],
    crc: ['rx_crc_errors', 'rx_jabbers'],
    length: ['rx_oversize_packets'],
    txWait: ['tx_exhaustion_events'],
    rxFifo: 'ring',
    filter: ['rx_mf_tag_discard'],
  },
  tg3: {
    ring: ['rx_discards'],
    crc: ['rx_fcs_errors'],
    length: ['rx_frame_too_long_errors'],
    tx: ['tx_discards'],
    txWait: ['tx_comp_queue_full'],
    rxMissed: 'ring',
    rxPause: ['rx_xoff_pause_rcvd'],
    txPause: ['tx_xoff_sent'],
  },
  qede: {
    ring: ['no_buff_discards'],
    port: ['brb_discards'],
    alloc: ['N: rx_alloc_errors', 'rx_alloc_errors'],
    crc: ['rx_crc_errors'],
    length: ['packet_too_big_discard'],
    tx: ['tx_err_drop_pkts'],
    rxFifo: 'ring',
    filter: ['mac_filter_discards', 'gft_filter_drop'],
  },
  be2net: {
    ring: ['rx_drops_no_erx_descr', 'rx_drops_no_pbuf'],
    port: ['pmem_fifo_overflow_drop', 'rx_input_fifo_overflow_drop'],
    alloc: ['rx_drops_no_skbs', 'rx_drops_no_frags'],
    crc: ['rx_crc_errors'],
    length: ['rx_drops_mtu'],
    tx: ['tx_drv_drops'],
    filter: ['tx_spoof_check_err'],
    rxPause: ['rx_pause_frames'],
    txPause: ['tx_pauseframes'],
  },
  enic: {
    ring: ['rx_no_bufs'],
    port: ['rx_drop'],
    crc: ['rx_crc_errors'],
    tx: ['tx_drops'],
  },
  sfc: {
    ring: ['port_rx_nodesc_drops', 'rx_nodesc_trunc'],
    port: ['port_rx_overflow', 'port_rx_pm_discard_bb_overflow'],
    alloc: ['rx_noskb_drops'],
    crc: ['port_rx_bad'],
    length: ['port_rx_bad_gtjumbo'],
    tx: ['tx_bad'],
    rxFifo: 'port',
  },
  cxgb4: {
    port: ['rx_bgN_frames_dropped', 'bgN_frames_dropped'],
    crc: ['rx_fcs_errors'],
    length: ['rx_length_errors'],
    tx: ['tx_frames_dropped'],
    txWait: ['db_drop'],
  },
  hns3: {
    alloc: ['rxqN_dropped', 'rxqN_frag_alloc_err'],
    length: ['rxqN_err_pkt_len'],
    checksum: ['rxqN_l3l4_csum_err', 'rxqN_lNlN_csum_err'],
    tx: ['txqN_dropped'],
    txWait: ['txqN_busy'],
  },
  ionic: {
    // rx_over_errors is rx_queue_empty of the firmware.
    ring: ['hw_rx_dropped', 'hw_rx_over_errors'],
    port: ['hw_rx_missed_errors'],
    alloc: ['rx_N_alloc_err'],
    crc: ['frames_rx_bad_fcs'],
    tx: ['hw_tx_dropped'],
    rxMissed: 'port',
  },
  nfp: {
    ring: ['dev_rx_discards', 'rx_drop_events'],
    port: ['rx_mac_head_drop'],
    alloc: ['rx_replace_buf_alloc_fail'],
    crc: ['rx_jabbers'],
    tx: ['dev_tx_discards', 'tx_queue_drop'],
  },
  atlantic: {
    ring: ['InDroppedDma'],
    crc: ['InErrors'],
  },
  r8169: {
    ring: ['rx_missed'],
    crc: ['rx_errors', 'align_errors'],
    tx: ['tx_errors'],
    rxMissed: 'ring',
  },
  virtio_net: {
    // An empty ring shows on the hypervisor only, as drops of the tap device.
    alloc: ['rxN_drops', 'rx_queue_N_drops'],
    txTimeout: ['txN_tx_timeouts', 'tx_queue_N_tx_timeouts'],
    resizeRestarts: 'queues',
  },
  ena: {
    // rx_dropped comes from the device every second (keep-alive), and has unhandled frames as well.
    ringEmpty: { templates: ['queue_N_rx_empty_rx_ring'], counts: 'times', lostIn: 'rxDropped' },
    alloc: ['queue_N_rx_page_alloc_fail', 'queue_N_rx_skb_alloc_fail', 'queue_N_rx_refil_partial'],
    checksum: ['queue_N_rx_csum_bad'],
    txWait: ['queue_N_tx_missed_tx'],
    resizeRestarts: 'queues',
    txTimeout: ['tx_timeout', 'wd_expired'],
    allowance: [
      'bw_in_allowance_exceeded',
      'bw_out_allowance_exceeded',
      'pps_allowance_exceeded',
      'conntrack_allowance_exceeded',
      'linklocal_allowance_exceeded',
    ],
  },
  gve: {
    ring: ['rx_queue_drop_cnt[N]', 'rx_no_buffers_posted[N]'],
    alloc: ['rx_buf_alloc_fail', 'page_alloc_fail'],
    length: ['rx_drops_packet_over_mru[N]'],
    checksum: ['rx_drops_invalid_checksum[N]'],
    tx: ['tx_dropped'],
    txTimeout: ['tx_timeouts'],
  },
  vmxnet3: {
    // Not in any statistic of the interface: its rx_dropped counts what the driver threw away.
    ring: ['pkts rx OOB'],
    alloc: ['rx buf alloc fail'],
    crc: ['fcs', 'err'],
    tx: ['pkts tx discard', 'drv dropped tx total', 'too many frags'],
    txWait: ['ring full'],
    txTimeout: ['tx timeout count'],
  },
  hv_netvsc: {
    alloc: ['rx_no_memory'],
    tx: ['tx_no_memory', 'tx_no_space', 'tx_too_big', 'vf_tx_dropped'],
    txWait: ['tx_send_full', 'tx_busy'],
  },
  mana: {
    ring: ['hc_rx_discards_no_wqe'],
    tx: ['hc_tx_err_mtu_violation'],
    filter: ['hc_tx_err_vlan_enforcement'],
  },
  ibmvnic: {
    crc: ['fcs_errors'],
    length: ['too_long_frames'],
    tx: ['txN_dropped_packets'],
  },
};

/** Undefined for a driver nobody has described: then only the standard statistics have a meaning. */
export function nicDriver(name: string | undefined): NicDriver | undefined {
  return name !== undefined && Object.hasOwn(drivers, name) ? drivers[name] : undefined;
}

const lossKinds = [
  'ring',
  'ringEmpty',
  'port',
  'alloc',
  'crc',
  'length',
  'checksum',
  'tx',
  'txNoLink',
  'txTimeout',
  'filter',
  'allowance',
] as const;

const kinds = [...lossKinds, 'txWait', 'rxPause', 'txPause', 'pauseStorm'] as const;

/** What a statistic of a driver may count; see NicDriver. */
export type StatisticKind = (typeof kinds)[number];

/** Empty for a driver that is not described. */
export function templatesOf(driver: NicDriver | undefined, kind: StatisticKind): readonly string[] {
  return (kind === 'ringEmpty' ? driver?.ringEmpty?.templates : driver?.[kind]) ?? [];
}

function allTemplates(of: readonly StatisticKind[]): ReadonlySet<string> {
  return new Set(
    Object.values(drivers).flatMap((driver) => of.flatMap((kind) => templatesOf(driver, kind))),
  );
}

/** Statistics that count losses and never go down, whatever the driver. */
export const lossTemplates = allTemplates(lossKinds);

/** Every template above. */
export const knownTemplates = allTemplates(kinds);

/** The template that a statistic stands under: `rx_queue_N_drops` for `rx_queue_0_drops`. */
export function templateOf(statistic: string): string {
  return statistic.replaceAll(/\d+/g, 'N');
}

const rxQueuePackets = [
  // igb, igc, ixgbe, ice; virtio_net before 6.8
  /^rx_queue_(\d+)_packets$/,
  // mlx5_core, virtio_net
  /^rx(\d+)_packets$/,
  // i40e, iavf
  /^rx-(\d+)\.packets$/,
  // ena
  /^queue_(\d+)_rx_cnt$/,
  // bnxt_en
  /^\[(\d+)\]: rx_ucast_packets$/,
];

/** Number of the receive queue whose packets this statistic counts; undefined: it counts something else. */
export function rxQueueOf(statistic: string): string | undefined {
  for (const pattern of rxQueuePackets) {
    const queue = pattern.exec(statistic)?.[1];
    if (queue !== undefined) return queue;
  }
  return undefined;
}

/** What a statistic counts, and the drivers that count it so. Empty: no driver that is described has it. */
export function meaningsOfStatistic(
  name: string,
): readonly { readonly kind: StatisticKind; readonly drivers: readonly string[] }[] {
  const template = templateOf(name);
  return kinds
    .map((kind) => ({
      kind,
      drivers: Object.entries(drivers)
        .filter(([, driver]) => templatesOf(driver, kind).includes(template))
        .map(([driver]) => driver),
    }))
    .filter(({ drivers }) => drivers.length > 0);
}

/**
 * Guess for drivers that are not described: does this statistic sound like received packets that
 * were lost for want of room? The words are those of xsos, without its known harmless names and
 * without those that speak of damaged, filtered or sent frames. `rx_dropped` often repeats the
 * statistic of the interface, which counts harmless frames.
 */
export function soundsLikeRxLoss(name: string): boolean {
  return (
    name !== 'rx_dropped' &&
    /drop|discard|miss|fifo|overflow|no_?buf|no_?desc|oob|lost/i.test(name) &&
    /rx|\bin|^In|recv|receive/i.test(name) &&
    !/tx|filter|fdir|steer|csum|xdp|veb|pause|smbus|cache|multicast|vlan/i.test(name)
  );
}
