import { meaningsOfStatistic, type StatisticKind } from '../../checks/nic-drivers.ts';
import { counterTable, loss, maybe, type Counter } from '../catalogue/counter.ts';

const kinds: Readonly<Record<StatisticKind, ReturnType<typeof loss>>> = {
  ring: loss(
    'Packets the card dropped because the host had no free receive descriptor for them.',
    'nic-rx-ring',
  ),
  ringEmpty: maybe(
    'The card found no free receive descriptor. Its own buffer may have saved the packet.',
    'nic-rx-ring',
  ),
  port: loss(
    'Packets lost inside the card: its buffer, its firmware, the PCIe bus. A larger ring does not help.',
    'nic-rx-fifo',
  ),
  alloc: maybe('The driver got no memory for a receive buffer.', 'nic-rx-alloc'),
  crc: loss('Frames that were damaged on the wire.', 'nic-crc-errors'),
  length: loss(
    'Frames longer than this port takes, or than they say themselves.',
    'nic-length-mtu',
  ),
  checksum: maybe(
    'Packets with a wrong checksum of IP, TCP or UDP. Most drivers pass them on.',
    'udp-csum-error',
    'tcp-csum-error',
  ),
  tx: loss('Frames thrown away instead of sent.', 'nic-tx-ring'),
  txNoLink: loss('Frames that could not be sent for want of a link.', 'link-down-tx'),
  txWait: maybe(
    'Times the transmit queue was full or late. Frames wait; that loses none.',
    'qdisc-overlimit',
  ),
  txTimeout: loss('Times a transmit queue was stuck and was reset.', 'nic-tx-timeout'),
  filter: maybe('Frames refused by a filter of the card.', 'nic-hw-filter'),
  allowance: loss(
    'Packets queued or dropped because the cloud instance exceeded its limit.',
    'cloud-allowance',
  ),
  rxPause: maybe('Frames by which the switch asked to stop sending.', 'nic-pause'),
  txPause: maybe('Frames by which this host asked the switch to stop sending.', 'nic-pause'),
  pauseStorm: maybe('Times this host held up the switch for too long.', 'nic-pause'),
};

/** What a statistic of `ethtool -S` means, driver by driver: one name may count opposite things. */
export function findNicStatistics(name: string): readonly Counter[] {
  return meaningsOfStatistic(name).flatMap(({ kind, drivers }) => {
    const { meaning, ...rest } = kinds[kind];
    const whose = `Driver ${drivers.join(', ')}: ${meaning}`;
    return counterTable('ethtool', { [name]: { ...rest, meaning: whose } });
  });
}
