import type { Sysctl } from '../../checks/sysctl.ts';
import type { Expectation, Fix, FixStep } from '../../src/model/fix.ts';
import { isHostWide } from '../../src/model/sysctl-key.ts';
import { DATAGRAM_BYTES, type QueueBehaviour } from './rcvbuf-queue.ts';
import type { SizeOrigin } from './rcvbuf-size.ts';

/** All that decides which change can cure one socket. */
export interface RcvbufCase {
  /** `nginx (pid 1)`, or what to call it when that is not known. */
  readonly program: string;
  /** `:53`, as ss filters. */
  readonly port: string;
  readonly rcvbufBytes: number | undefined;
  readonly queue: QueueBehaviour;
  readonly origin: SizeOrigin;
  /** Buffer that holds the largest burst, of this socket and its like; undefined: no sensible one does. */
  readonly neededBytes: number | undefined;
  readonly sysctl: Sysctl | undefined;
  /** UDP sockets of the namespace. */
  readonly udpSockets: number;
  readonly expect: Expectation;
}

/**
 * A larger buffer helps only against bursts, and only a setting that decided the size can change it:
 * `rmem_max` and `rmem_default` mean nothing to a program that chose its own size, and no size
 * cures a reader that is too slow.
 */
export function rcvbufFixes(one: RcvbufCase): readonly Fix[] {
  const { queue, rcvbufBytes, neededBytes, origin } = one;
  if (rcvbufBytes === undefined || queue.why === 'unknown') return [lookLonger(one)];
  if (queue.why === 'behind') return [readFaster(one, 'Its queue is full most of the time')];
  if (neededBytes === undefined) {
    const lost = `${queue.burstPackets} datagrams were lost within one burst`;
    return [readFaster(one, `${lost}, more than the largest sensible buffer holds`)];
  }
  switch (origin) {
    case 'default':
      return [raiseDefault(one, neededBytes)];
    case 'capped':
      return [raiseMaximum(one, neededBytes)];
    case 'old-default':
      return [restart(one)];
    case 'program':
    case 'unknown':
      return [changeProgram(one, neededBytes)];
  }
}

function raiseDefault(one: RcvbufCase, neededBytes: number): Fix {
  const key = 'net.core.rmem_default';
  const from = one.sysctl?.text(key) ?? '';
  const worst = one.udpSockets * neededBytes;
  return {
    id: 'raise-rmem-default',
    title: `Give new sockets a receive buffer of ${size(neededBytes)} (now ${from} bytes)`,
    risk: 'caution',
    cost:
      `${sizing(one)} Memory is used only while datagrams wait: up to ${size(neededBytes)} for a socket, ` +
      `${size(worst)} if all UDP sockets here (${one.udpSockets}) were full; net.ipv4.udp_mem still limits them together. ` +
      `It counts for new sockets of every program on this host.`,
    steps: [
      { kind: 'sysctl', key, from, to: String(neededBytes), hostWide: isHostWide(key) },
      restartStep(one),
    ],
    expect: one.expect,
    takesEffect: 'new-sockets',
  };
}

function raiseMaximum(one: RcvbufCase, neededBytes: number): Fix {
  const key = 'net.core.rmem_max';
  const from = one.sysctl?.text(key) ?? '';
  // The kernel doubles what a program asks for, to make room for its own overhead.
  const to = String(neededBytes / 2);
  return {
    id: 'raise-rmem-max',
    title: `Let programs ask for a receive buffer of ${to} bytes (now ${from})`,
    risk: 'caution',
    cost:
      `${sizing(one)} The kernel doubles what a program asks for, so ${to} gives ${size(neededBytes)}. ` +
      `Memory is used only while datagrams wait, by programs that ask for so much. ` +
      `If ${one.program} asks for exactly ${from}, its own setting must be raised as well.`,
    steps: [{ kind: 'sysctl', key, from, to, hostWide: isHostWide(key) }, restartStep(one)],
    expect: one.expect,
    takesEffect: 'new-sockets',
  };
}

function restart(one: RcvbufCase): Fix {
  const now = one.sysctl?.text('net.core.rmem_default') ?? '';
  return {
    id: 'restart-service',
    title: `Restart ${one.program}: new sockets get ${now} bytes already`,
    risk: 'caution',
    cost: 'An interruption of the service.',
    steps: [restartStep(one)],
    expect: one.expect,
    takesEffect: 'new-sockets',
  };
}

function changeProgram(one: RcvbufCase, neededBytes: number): Fix {
  const maximum = one.sysctl?.number('net.core.rmem_max');
  const ask = neededBytes / 2;
  const limit =
    maximum === undefined
      ? 'net.core.rmem_max limits what it may ask for.'
      : maximum >= ask
        ? `net.core.rmem_max allows up to ${maximum}.`
        : `net.core.rmem_max allows only ${maximum}: raise it first.`;
  const chose =
    one.origin === 'program'
      ? `${one.program} chose this buffer itself (SO_RCVBUF): ${one.rcvbufBytes ?? '?'} bytes after the kernel doubled it. ` +
        `Or it was opened before the settings were changed; then a restart is enough. `
      : '';
  return {
    id: 'set-so-rcvbuf',
    title: `Have ${one.program} ask for a larger receive buffer (SO_RCVBUF ${ask})`,
    risk: 'none',
    cost: `${sizing(one)} A change of the program or its configuration, and a restart.`,
    steps: [
      {
        kind: 'manual',
        text: `${chose}Set SO_RCVBUF to ${ask} or more in its configuration or source; the kernel doubles it. ${limit}`,
      },
    ],
    expect: one.expect,
    takesEffect: 'new-sockets',
  };
}

function readFaster(one: RcvbufCase, because: string): Fix {
  return {
    id: 'read-faster',
    title: `Make ${one.program} read faster`,
    risk: 'none',
    cost: 'Work on the program or its configuration. A larger buffer would only fill more slowly.',
    steps: [
      {
        kind: 'manual',
        text:
          `${because}: a kernel setting does not cure that. See whether ${one.program} hangs, waits for a disk or a lock, ` +
          `or has one thread at 100 % CPU (top -H). Then: more readers of the port (SO_REUSEPORT, worker settings), ` +
          `less work per datagram (recvmmsg, no name look-ups, less logging), or fewer datagrams from the senders.`,
      },
    ],
    expect: one.expect,
    takesEffect: 'at-once',
  };
}

function lookLonger(one: RcvbufCase): Fix {
  return {
    id: 'look-longer',
    title: 'Find out whether the reader is slow or the buffer is small',
    risk: 'none',
    cost: 'Nothing.',
    steps: [
      {
        kind: 'manual',
        text:
          one.rcvbufBytes === undefined
            ? 'The size of the buffer could not be read (as root, with ss of the package iproute2): see skmem of `ss -uanmpe`, where r is the queue and rb the buffer.'
            : `The queue was seen too few times since the loss began (with thousands of sockets it is not watched). Measure again over 10 seconds or more while packets are lost, or compare r (queue) with rb (buffer) a few times: ss -uanm 'sport = ${one.port}'`,
      },
    ],
    expect: one.expect,
    takesEffect: 'at-once',
  };
}

function restartStep({ program }: RcvbufCase): FixStep {
  return {
    kind: 'manual',
    text: `Restart ${program}: a socket keeps the buffer it was opened with.`,
  };
}

function sizing({ queue }: RcvbufCase): string {
  return (
    `The size is at least twice the present one, and holds beside it the ${queue.burstPackets} datagrams ` +
    `lost in the largest burst, ${DATAGRAM_BYTES} bytes each (1,500 bytes with overhead). Bursts that follow ` +
    `each other faster than the queue is looked at count as one, so less may do.`
  );
}

function size(bytes: number): string {
  const units = ['KiB', 'MiB', 'GiB'];
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Number(value.toFixed(1))} ${units[unit] ?? ''}`;
}
