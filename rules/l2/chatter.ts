import type { JudgeWindow } from '../../src/model/rule.ts';
import { areStray } from '../ip/evidence.ts';

/**
 * At once, as when interfaces come up: each sends some five packets by itself (ARP, duplicate address detection,
 * MLD, router solicitations; seen on 6.18), and a few neighbours answer.
 */
const CHATTER_PACKETS = 20;

/** What any network says to everybody and to hosts that are gone: all of it together, or at a slow pace. */
export function isChatter(packets: number, window: JudgeWindow): boolean {
  return packets < CHATTER_PACKETS || areStray(packets, window);
}
