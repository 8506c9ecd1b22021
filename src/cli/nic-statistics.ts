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
  phy: loss('Damaged frames, or frames of a wrong length.', 'nic-crc-errors', 'nic-length-mtu'),
  tx: loss('Frames that could not be sent.', 'nic-tx-ring', 'link-down-tx'),
};

/** What a statistic of `ethtool -S` means, driver by driver: one name may count opposite things. */
export function findNicStatistics(name: string): readonly Counter[] {
  return meaningsOfStatistic(name).flatMap(({ kind, drivers }) => {
    const { meaning, ...rest } = kinds[kind];
    const whose = `Driver ${drivers.join(', ')}: ${meaning}`;
    return counterTable('ethtool', { [name]: { ...rest, meaning: whose } });
  });
}
