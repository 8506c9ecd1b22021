import type { NicSettings } from '../../checks/ethtool.ts';
import type { Link } from '../../checks/link.ts';
import { nicDriver } from '../../checks/nic-drivers.ts';
import type { Expectation, Fix } from '../../src/model/fix.ts';

const PAGE_BYTES = 4096;
/** Headroom and skb_shared_info beside the frame, in the buffer of one descriptor. */
const BUFFER_OVERHEAD_BYTES = 512;

/**
 * Twice the ring, at most its maximum; at the maximum the answer is elsewhere.
 * @param expect what is to be measured afterwards
 */
export function ringFix(
  name: string,
  settings: NicSettings | undefined,
  link: Link,
  expect: Expectation,
): Fix {
  const { rx, rxMax } = settings?.ring ?? {};
  if (rx === undefined || rxMax === undefined || rx === 0 || rx >= rxMax) {
    return spreadFix(name, rx === undefined ? undefined : rxMax, rx);
  }

  const to = Math.min(rxMax, 2 * rx);
  const queuesOnly = nicDriver(settings?.driver)?.resizeRestarts === 'queues';
  return {
    id: 'enlarge-ring',
    title: `Give ${name} a receive ring of ${to} descriptors instead of ${rx}`,
    risk: queuesOnly ? 'caution' : 'disruptive',
    cost: [
      memoryCost(to - rx, settings?.rxQueues, link.mtu),
      queuesOnly
        ? 'the driver restarts the queues one after the other; packets in them are lost'
        : 'the driver stops and starts the interface: expect a second or more without link, and do not do it over a single link you need',
      ...(link.portKind === 'bond'
        ? ['the bond moves its traffic to another port, if it has one that is up']
        : []),
      'packets may wait longer',
    ].join('; '),
    takesEffect: 'at-once',
    steps: [{ kind: 'ethtool', interface: name, setting: 'rx', from: String(rx), to: String(to) }],
    expect,
  };
}

/** Without ethtool nobody knows how long the ring is, nor can make it longer. */
export function seeRingFix(name: string): Fix {
  return {
    id: 'install-ethtool',
    title: `Install ethtool, so that the ring of ${name} can be seen and changed`,
    risk: 'none',
    cost: 'a small package',
    takesEffect: 'at-once',
    steps: [
      {
        kind: 'manual',
        text: `ethtool is not installed or did not answer, so neither the size of the ring nor the driver's own statistics are known. Install the package ethtool and measure again; by hand: ethtool -g ${name}, ethtool -S ${name}.`,
      },
    ],
  };
}

/** Each descriptor holds a buffer for a whole frame; drivers round up, most to half pages or pages. */
function memoryCost(descriptors: number, queues: number | undefined, mtu: number): string {
  const bufferBytes = Math.ceil((mtu + BUFFER_OVERHEAD_BYTES) / PAGE_BYTES) * PAGE_BYTES;
  const mebibytes = ((descriptors * (queues ?? 1) * bufferBytes) / 2 ** 20).toFixed(1);
  return `up to ${mebibytes} MiB of memory (${descriptors} buffers ${
    queues === undefined
      ? 'for each queue'
      : `for each of ${queues} queue${queues === 1 ? '' : 's'}`
  })`;
}

function spreadFix(name: string, max: number | undefined, rx: number | undefined): Fix {
  const state =
    max !== undefined && rx !== undefined && rx >= max
      ? `The ring is already at its maximum (${rx}).`
      : 'The driver does not let the ring be changed, or did not tell its size.';
  return {
    id: 'spread-load',
    title: `Empty the rings of ${name} faster`,
    risk: 'disruptive',
    cost: 'most drivers stop and start the interface when the number of queues changes; flows move to other CPUs',
    takesEffect: 'at-once',
    steps: [
      {
        kind: 'manual',
        text: `${state} Let more CPUs empty it: more queues (ethtool -l and -L), interrupts on different CPUs (/proc/interrupts). Let the card wait less before it interrupts (ethtool -C, adaptive-rx or a smaller rx-usecs). Let each poll do more with GRO (ethtool -K).`,
      },
    ],
  };
}
