import type { Link } from '../../checks/link.ts';
import { rise } from '../../src/model/counter.ts';
import { packetsOf, type DropCapture } from '../../src/model/drops.ts';
import type { Claim, Observation } from '../../src/model/rule.ts';
import { withoutReasons } from '../benign.ts';

/** An interface whose link was gone, for a while or for good: then `noop` is in the place of its queue. */
export interface WithoutLink {
  readonly name: string;
  readonly before: Link | undefined;
  readonly now: Link;
}

/** Packets that it dropped instead of sending them, and where that shows. */
export interface NotSent {
  readonly packets: number;
  readonly because: readonly Observation[];
  readonly claims: readonly Claim[];
}

/**
 * `noop` counts what it drops in the `tx_dropped` of the interface (6.12, 6.18). On Linux 6.1 nothing does, and the
 * drops themselves must tell.
 */
export function notSent(
  { name, before, now }: WithoutLink,
  capture: DropCapture | undefined,
): NotSent {
  const counted = rise(before?.txDropped, now.txDropped);
  const packets = counted > 0 ? counted : packetsOf(seenAt(name, capture));
  return {
    packets,
    because: [
      counted > 0
        ? {
            source: `/sys/class/net/${name}/statistics/tx_dropped`,
            text: `packets dropped instead of sent: ${packets}`,
            first: String(before?.txDropped ?? 0n),
            last: String(now.txDropped),
          }
        : {
            source: 'skb:kfree_skb',
            text: `packets dropped instead of sent: ${packets}, which this kernel does not count`,
          },
    ],
    claims: [
      { reason: ['QDISC_DROP', 'DEV_READY'], interface: name, packets },
      withoutReasons({
        location: ['__dev_queue_xmit', 'dev_queue_xmit', '__dev_xmit_skb', 'noop_enqueue'],
        packets,
      }),
    ],
  };
}

/** Drops of queues there. Only where the capture tells interfaces. */
export function seenAt(name: string, capture: DropCapture | undefined) {
  return (capture?.drops ?? []).filter(
    ({ reason, details }) => reason === 'QDISC_DROP' && details?.interface === name,
  );
}
