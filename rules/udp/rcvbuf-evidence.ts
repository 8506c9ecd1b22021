import type { Snmp } from '../../checks/snmp.ts';
import type { SocketsValue } from '../../checks/sockets.ts';
import type { Sysctl } from '../../checks/sysctl.ts';
import type { Sampled } from '../../src/model/check.ts';
import type { FullSocket } from '../../src/model/companions.ts';
import { rise } from '../../src/model/counter.ts';
import type { DropCapture } from '../../src/model/drops.ts';
import type { Expectation } from '../../src/model/fix.ts';
import type { CauseFinding, Observation } from '../../src/model/rule.ts';
import type { SocketLoss } from './rcvbuf-loss.ts';
import type { QueueBehaviour } from './rcvbuf-queue.ts';
import type { SizeOrigin } from './rcvbuf-size.ts';

export interface Seen {
  readonly snmp: Sampled<Snmp>;
  readonly sockets: Sampled<SocketsValue>;
  readonly drops: DropCapture | undefined;
  readonly sysctl: Sampled<Sysctl> | undefined;
}

const FAMILIES = ['Udp', 'Udp6'] as const;

/** IPv4 and IPv6 together: a dual-stack socket loses to both counters. */
export function rises(seen: Seen, counter: string): number {
  return FAMILIES.reduce((sum, family) => sum + familyRise(seen, family, counter), 0);
}

function familyRise({ snmp }: Seen, family: (typeof FAMILIES)[number], counter: string): number {
  const name = `${family}.${counter}`;
  return rise(snmp.first.counters.get(name), snmp.last.counters.get(name));
}

export function rulesOut(seen: Seen): CauseFinding['rulesOut'] {
  const memErrors = rises(seen, 'MemErrors');
  const protoMem = (seen.drops?.drops ?? [])
    .filter(
      ({ reason, location }) => reason === 'PROTO_MEM' && location.startsWith('__udp_enqueue'),
    )
    .reduce((sum, { packets }) => sum + packets, 0);
  const badChecksums = rises(seen, 'InCsumErrors');
  return [
    // MemErrors is not enough: 6.18 does not count it, and kernels before 5.11 do not have it.
    ...(seen.drops?.hasReasons === true && memErrors + protoMem === 0
      ? [{ id: 'udp-mem-exhausted', because: 'no drop with reason PROTO_MEM was captured' }]
      : []),
    ...(badChecksums === 0 ? [{ id: 'udp-csum-error', because: 'InCsumErrors +0' }] : []),
    {
      id: 'udp-sndbuf',
      because: `RcvbufErrors is about receiving; SndbufErrors +${rises(seen, 'SndbufErrors')}`,
    },
  ];
}

export function counterObservations(seen: Seen): readonly Observation[] {
  return FAMILIES.flatMap((family) => {
    const risen = familyRise(seen, family, 'RcvbufErrors');
    if (risen === 0) return [];
    const name = `${family}.RcvbufErrors`;
    return {
      source:
        family === 'Udp' ? '/proc/net/snmp Udp RcvbufErrors' : '/proc/net/snmp6 Udp6RcvbufErrors',
      text: `${risen} datagrams refused by full receive buffers`,
      first: String(seen.snmp.first.counters.get(name)),
      last: String(seen.snmp.last.counters.get(name)),
    };
  });
}

export function socketObservations(
  { socket, history, told }: SocketLoss,
  queue: QueueBehaviour,
): readonly Observation[] {
  const source = `/proc/net/${socket.protocol} ${socket.local}`;
  return [
    ...(told === undefined ? [] : [toldObservation(told)]),
    {
      source: `${source} drops`,
      text: 'datagrams this socket lost',
      first: String(history[0]?.drops ?? 0n),
      last: String(socket.drops),
    },
    {
      source: `${source} rx_queue`,
      text:
        queue.why === 'unknown'
          ? `at most ${queue.peakBytes} bytes were waiting`
          : `nearly full in ${queue.fullLooks} of ${queue.looks} looks since the first loss; at most ${queue.peakBytes} bytes were waiting`,
    },
  ];
}

function toldObservation({ packets, queuedBytesMax, rcvbufBytes }: FullSocket): Observation {
  return {
    source: 'udp:udp_fail_queue_rcv_skb',
    text: `this socket refused ${packets} datagrams, with up to ${queuedBytesMax} of its ${rcvbufBytes} bytes in use`,
  };
}

const ORIGIN_TEXTS: Readonly<Record<SizeOrigin, string>> = {
  default: 'as net.core.rmem_default says: the program did not set a size',
  capped: 'twice net.core.rmem_max, the most a program may ask for',
  'old-default':
    "the kernel's built-in default: opened before net.core.rmem_default was raised, or chosen by the program",
  program: 'neither net.core.rmem_default nor twice net.core.rmem_max: chosen by the program',
  unknown: 'the settings it comes from could not be read',
};

export function sizeObservations(
  rcvbufBytes: number | undefined,
  origin: SizeOrigin,
  { sysctl }: Seen,
): readonly Observation[] {
  if (rcvbufBytes === undefined) return [];
  const settings = ['net.core.rmem_default', 'net.core.rmem_max'].flatMap((key) => {
    const value = sysctl?.last.text(key);
    return value === undefined ? [] : [`${key} = ${value}`];
  });
  return [
    {
      source: ['ss -uanmpe (rb)', ...settings].join(', '),
      text: `a receive buffer of ${rcvbufBytes} bytes, ${ORIGIN_TEXTS[origin]}`,
    },
  ];
}

export function expectation(seen: Seen): Expectation {
  const v4 = familyRise(seen, 'Udp', 'RcvbufErrors');
  const family = v4 >= familyRise(seen, 'Udp6', 'RcvbufErrors') ? 'Udp' : 'Udp6';
  return {
    counter: `snmp ${family}.RcvbufErrors`,
    change: 'stops-rising',
    traffic: `snmp ${family}.InDatagrams`,
  };
}
