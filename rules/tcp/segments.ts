import type { Snmp } from '../../checks/snmp.ts';
import type { Sampled } from '../../src/model/check.ts';
import type { CauseFinding, JudgeWindow } from '../../src/model/rule.ts';
import { ownEvents, rises } from '../protocol-counters.ts';

/** Of the segments received: a rule of thumb is that one in a hundred sent again is suspicious, three are bad. */
const NOISE_SHARE = 0.01;
/** So that one in a hundred is a whole segment: in fewer, a share says nothing. */
const NOISE_SEGMENTS = 100;

interface Share {
  readonly segments: number;
  readonly received: number;
  readonly percent: number;
}

/**
 * How large a part of the received segments was discarded; undefined when it is no more than noise.
 *
 * @param events captured on the whole machine
 * @param counters that rise for about as many segments in this namespace: where there are several, no
 *   more than these can have been its own
 */
export function aboveNoise(
  events: number,
  counters: readonly string[],
  snmp: Sampled<Snmp>,
  window: JudgeWindow,
): Share | undefined {
  const received = rises(snmp, ['Tcp.InSegs']);
  const segments = ownEvents(events, rises(snmp, counters), window);
  return segments >= NOISE_SEGMENTS && segments > received * NOISE_SHARE
    ? { segments, received, percent: Math.round((100 * segments) / Math.max(received, segments)) }
    : undefined;
}

/**
 * Real losses of TCP. Kernels without reasons for them free the segments in the same functions as noise,
 * so as many drops there are not called harmless.
 */
const LOSSES = [
  // The last ACK of a handshake that found the accept queue full, before 6.15.
  'TcpExt.ListenOverflows',
  'Tcp.InCsumErrors',
  'TcpExt.RcvPruned',
  'TcpExt.OfoPruned',
  'TcpExt.TCPOFODrop',
  'TcpExt.TCPRcvQDrop',
  'TcpExt.TCPBacklogDrop',
  'TcpExt.TCPZeroWindowDrop',
  'TcpExt.PAWSEstab',
  'TcpExt.TCPMinTTLDrop',
  'TcpExt.TCPMD5NotFound',
  'TcpExt.TCPMD5Unexpected',
  'TcpExt.TCPMD5Failure',
];

/** So many of the drops without a reason may be called harmless. */
export function harmlessOf(events: number, snmp: Sampled<Snmp>): number {
  return Math.max(0, events - rises(snmp, LOSSES));
}

/**
 * A hint that something is wrong elsewhere. The segments are no loss themselves: their packets are counted
 * as harmless.
 *
 * @param were what the segments had in common: `were resets`
 */
export function symptom(
  { segments, received, percent }: Share,
  were: string,
  means: string,
): CauseFinding {
  return {
    kind: 'cause',
    confidence: 'possible',
    packets: 0,
    severityAtMost: 'notice',
    scope: {},
    because: [
      {
        source: 'skb:kfree_skb',
        text: `${segments} of ${received} TCP segments received (${percent} %) ${were}`,
      },
    ],
    means,
    rulesOut: [],
    fixes: [],
    claims: [],
  };
}
