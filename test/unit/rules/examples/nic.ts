import { detailsOf, dropped, links, sampled } from '../evidence.ts';
import { kernelSays, traffic, type Example } from '../example.ts';
import { cardWindow, type CardWindow } from '../nic-evidence.ts';

/** A counter of the driver that stands for one cause. */
const statistic =
  (name: string, driver: string, card: CardWindow = {}) =>
  (amount: number) =>
    cardWindow({ driver, ...card, statistics: { [name]: amount } });

export default [
  { rule: 'nic-rx-ring', evidence: statistic('rx_queue_0_drops', 'igb'), causeFrom: 1 },
  { rule: 'nic-rx-fifo', evidence: statistic('rx_missed_errors', 'igb'), causeFrom: 1 },
  { rule: 'nic-rx-alloc', evidence: statistic('rx_queue_0_alloc_failed', 'igb'), causeFrom: 1 },
  { rule: 'nic-crc-errors', evidence: statistic('rx_crc_errors', 'igb'), causeFrom: 1 },
  { rule: 'nic-length-mtu', evidence: statistic('rx_long_length_errors', 'igb'), causeFrom: 1 },
  { rule: 'nic-tx-ring', evidence: statistic('tx_queue_dropped', 'mlx5_core'), causeFrom: 1 },
  {
    rule: 'nic-hw-filter',
    evidence: statistic('rx_steer_missed_packets', 'mlx5_core'),
    causeFrom: 1,
  },
  { rule: 'cloud-allowance', evidence: statistic('pps_allowance_exceeded', 'ena'), causeFrom: 1 },
  { rule: 'nic-pause', evidence: statistic('rx_flow_control_xoff', 'igb'), causeFrom: 51 },
  {
    rule: 'nic-tx-timeout',
    evidence: (txTimeouts) => cardWindow({ driver: 'igb', txTimeouts }),
    causeFrom: 1,
    clear: 3,
  },
  {
    rule: 'nic-duplex-mismatch',
    evidence: (collisions) => cardWindow({ driver: 'igb', link: { txWindow: BigInt(collisions) } }),
    causeFrom: 1,
  },
  {
    rule: 'nic-link-flap',
    evidence: (changes) => ({
      link: links({ eth0: { rxPackets: 100n, txPackets: 100n, carrierChanges: BigInt(changes) } }),
      ethtool: sampled({ interfaces: new Map() }, { interfaces: new Map() }),
    }),
    causeFrom: 2,
    clear: 6,
  },
  {
    rule: 'offload-checksum-bug',
    evidence: (packets) => ({
      snmp: traffic({ 'Udp.InCsumErrors': packets, 'Udp.InErrors': packets }),
      link: links({ vx0: { kind: 'vxlan', rxPackets: 10_000n } }),
      drops: dropped('UDP_CSUM', '__udp4_lib_rcv', packets, detailsOf({ interface: 'vx0' })),
    }),
    causeFrom: 20,
    beside: ['udp-csum-error'],
  },
  {
    rule: 'offload-checksum-bug',
    evidence: (times) => ({ 'kernel-log': kernelSays('hardware-checksum', times) }),
    causeFrom: 1,
    clear: 3,
  },
] satisfies readonly Example[];
