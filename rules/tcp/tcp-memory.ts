import type { Snmp } from '../../checks/snmp.ts';
import type { Sockstat } from '../../checks/sockstat.ts';
import type { Sysctl } from '../../checks/sysctl.ts';
import type { Sampled } from '../../src/model/check.ts';
import { rises } from '../protocol-counters.ts';

export interface TcpMemory {
  /** Whether TCP as a whole was short of memory; undefined: could not tell. */
  readonly pressure: boolean | undefined;
  readonly text: string;
  /** The most that was in use at any look, in pages. */
  readonly peakPages: number | undefined;
  /** tcp_mem: below the first nothing is limited, from the second on all buffers are kept small, the third is the end. */
  readonly limits: readonly number[] | undefined;
}

export const memKey = 'net.ipv4.tcp_mem';

export function tcpMemory(
  snmp: Sampled<Snmp>,
  sockstat: Sampled<Sockstat> | undefined,
  sysctl: Sampled<Sysctl> | undefined,
): TcpMemory {
  const looks = (sockstat?.samples ?? []).flatMap(({ tcpPages }) => tcpPages ?? []);
  const peakPages = looks.length === 0 ? undefined : Math.max(...looks);
  const limits = sysctl?.last.numbers(memKey);
  const pressures = rises(snmp, ['TcpExt.TCPMemoryPressures']);
  const limit = limits?.[1];
  const common = { peakPages, limits };
  const inUse =
    peakPages === undefined || limit === undefined
      ? undefined
      : `${peakPages} pages of TCP memory in use, pressure begins at ${limit}`;
  if (pressures > 0 || (inUse !== undefined && (peakPages ?? 0) > (limit ?? Infinity))) {
    return { ...common, pressure: true, text: inUse ?? `TCPMemoryPressures +${pressures}` };
  }
  return inUse === undefined
    ? { ...common, pressure: undefined, text: 'TCP memory could not be read' }
    : { ...common, pressure: false, text: `TCPMemoryPressures +0, ${inUse}` };
}
