import { readFileSync } from 'node:fs';
import type { FakeMachine } from './fake-host.ts';

const folder = new URL('fixtures/ethtool/', import.meta.url);

function text(recording: string, file: string): string {
  return readFileSync(new URL(`${recording}/${file}.txt`, folder), 'utf8');
}

/** The machine of a recording (fixtures/ethtool/README.md) at one end of its window. */
export function recordedNic(recording: string, name: string, end: 'first' | 'last'): FakeMachine {
  return {
    files: nicFiles(name),
    commands: {
      [`ethtool -i ${name}`]: text(recording, 'i'),
      [`ethtool -g ${name}`]: text(recording, 'g'),
      [`ethtool -S ${name}`]: text(recording, `S.${end}`),
      'ip -j -s -s -d link show': text(recording, `link.${end}`),
    },
  };
}

/** The same for one composed by hand, which has no interface statistics of its own. */
export function composedNic(
  driver: string,
  end: 'first' | 'last',
  rx: LinkRx,
  name = 'eth0',
): FakeMachine {
  return {
    files: nicFiles(name, 2),
    commands: {
      [`ethtool -i ${name}`]: text(`composed-${driver}`, 'i'),
      [`ethtool -g ${name}`]: text(`composed-${driver}`, 'g'),
      [`ethtool -S ${name}`]: text(`composed-${driver}`, `S.${end}`),
      'ip -j -s -s -d link show': linkJson(name, rx),
    },
  };
}

/** What sysfs has for a network card. */
export function nicFiles(name: string, queues = 1): Record<string, string> {
  const directory = `/sys/class/net/${name}`;
  const files: Record<string, string> = { [`${directory}/device/uevent`]: '' };
  for (let queue = 0; queue < queues; queue++) {
    files[`${directory}/queues/rx-${queue}/rps_cpus`] = '0\n';
    files[`${directory}/queues/tx-${queue}/xps_cpus`] = '0\n';
  }
  return files;
}

/** Members of `stats64.rx`. */
export interface LinkRx {
  readonly packets?: number;
  readonly dropped?: number;
  readonly missed_errors?: number;
  readonly fifo_errors?: number;
}

/** One interface as `ip -j -s -s -d link show` prints it. */
export function linkJson(name: string, rx: LinkRx, more: Record<string, unknown> = {}): string {
  const link = {
    ifindex: 2,
    ifname: name,
    flags: ['BROADCAST', 'MULTICAST', 'UP', 'LOWER_UP'],
    mtu: 1500,
    operstate: 'UP',
    link_type: 'ether',
    promiscuity: 0,
    stats64: {
      rx: {
        bytes: 0,
        packets: 0,
        errors: 0,
        dropped: 0,
        over_errors: 0,
        multicast: 0,
        length_errors: 0,
        crc_errors: 0,
        frame_errors: 0,
        fifo_errors: 0,
        missed_errors: 0,
        ...rx,
      },
      tx: {
        bytes: 0,
        packets: 0,
        errors: 0,
        dropped: 0,
        carrier_errors: 0,
        collisions: 0,
        aborted_errors: 0,
        fifo_errors: 0,
        window_errors: 0,
        heartbeat_errors: 0,
        carrier_changes: 1,
      },
    },
    ...more,
  };
  return JSON.stringify([link]);
}
