import type { Ram } from '../checks/sockstat.ts';
import type { Expectation, Fix } from '../src/model/fix.ts';
import { sysctlStep } from '../src/model/sysctl-step.ts';

interface MemoryLimit {
  readonly protocol: 'tcp' | 'udp';
  /** tcp_mem or udp_mem: three numbers of pages. */
  readonly now: readonly number[] | undefined;
  readonly ram: Ram | undefined;
  /** Undefined: no counter of this kernel can tell whether it helped. */
  readonly expect: Expectation | undefined;
}

/** The kernel's own share of memory, at the second of the three: tcp_init_mem(), udp_init(). */
const PRESSURE_SHARE = { tcp: 1 / 16, udp: 1 / 8 } as const;

/** The kernel leaves out what it keeps for itself, so its own value is somewhat below; half is somebody's choice. */
const LOWERED_SHARE = 0.5;

/**
 * Back to what the kernel sets at boot for this much memory, if somebody made it less. More than that cures
 * nothing: then the programs that hold the memory are the matter.
 */
export function memoryLimitFixes({ protocol, now, ram, expect }: MemoryLimit): readonly Fix[] {
  const holders: Fix = {
    id: 'find-the-holders',
    title: 'Find the programs that do not read',
    risk: 'none',
    cost: 'None: sockets are only listed.',
    steps: [
      {
        kind: 'command',
        argv: ['ss', protocol === 'tcp' ? '-tanmp' : '-uanmp'],
        why: 'sockets with a high Recv-Q or Send-Q hold the memory: r and t in skmem, in bytes',
      },
    ],
    takesEffect: 'at-once',
  };
  if (now?.length !== 3 || ram === undefined) return [holders];
  const pressure = Math.floor(ram.pages * PRESSURE_SHARE[protocol]);
  const low = Math.floor(pressure * 0.75);
  if ((now[2] ?? 0) >= 2 * low * LOWERED_SHARE) return [holders];
  const megabytes = Math.round((2 * low * ram.pageBytes) / 1e6);
  return [
    {
      id: `raise-${protocol}-mem`,
      title: `Let ${protocol.toUpperCase()} use as much memory as the kernel's default for this machine`,
      risk: 'caution',
      cost: `Up to ${megabytes} MB of memory, only while data waits to be read or sent.`,
      steps: [
        sysctlStep(`net.ipv4.${protocol}_mem`, now.join(' '), [low, pressure, 2 * low].join(' ')),
      ],
      ...(expect === undefined ? {} : { expect }),
      takesEffect: 'at-once',
    },
    holders,
  ];
}
