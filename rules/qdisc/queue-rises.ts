import type { TcClass } from '../../checks/qdisc/classes.ts';
import type { Qdisc, Qdiscs } from '../../checks/qdisc.ts';
import type { Sampled } from '../../src/model/check.ts';
import { rise } from '../../src/model/counter.ts';

/** What the queues of one interface dropped in the window. */
export interface QueueRise {
  readonly device: string;
  /** Where packets enter: its counters hold those of all below it. */
  readonly root: Qdisc;
  /** Where most of them were dropped; the root itself, if it has none below. */
  readonly leaf: Qdisc;
  /** Where the line is divided: the class that dropped most of them. */
  readonly class?: ClassRise;
  readonly first: bigint;
  readonly last: bigint;
  readonly dropped: number;
  /** Of `dropped`, on purpose to keep delays short, as far as this kind of queue tells. */
  readonly early: number;
  /** Packets that went through. */
  readonly passed: number;
}

export interface ClassRise extends TcClass {
  /** In the window. */
  readonly rise: number;
}

/** Hooks for filters that look like queueing disciplines. */
const HOOKS: ReadonlySet<string> = new Set(['clsact', 'ingress']);

/** Interfaces whose queue dropped packets, by its own counter: there was a link below it. */
export function devicesThatDropped(qdisc: Sampled<Qdiscs> | undefined): ReadonlySet<string> {
  return new Set(queueRises(qdisc).map(({ device }) => device));
}

/** Interfaces whose queue dropped packets, the worst first. None where nobody looked. */
export function queueRises(qdisc: Sampled<Qdiscs> | undefined): readonly QueueRise[] {
  if (qdisc === undefined) return [];
  const before = byKey(qdisc.first.qdiscs);
  const risen = qdisc.last.qdiscs
    .filter(({ kind }) => !HOOKS.has(kind))
    .map((queue) => ({ queue, first: before.get(keyOf(queue)) }))
    .map(({ queue, first }) => ({ queue, first, dropped: rise(first?.dropped, queue.dropped) }))
    .filter(({ dropped }) => dropped > 0);
  return risen
    .filter(({ queue }) => queue.parent === undefined)
    .map(({ queue: root, first, dropped }): QueueRise => {
      const below = risen
        .filter(({ queue }) => queue.device === root.device && queue.parent !== undefined)
        .sort((a, b) => b.dropped - a.dropped);
      const worst = below.find(({ queue }) => isLeaf(queue, qdisc.last));
      const [worstClass] = classRises(root.device, qdisc);
      return {
        device: root.device,
        root,
        leaf: worst?.queue ?? root,
        ...(worstClass !== undefined && worstClass.rise * 2 > dropped && { class: worstClass }),
        first: first?.dropped ?? 0n,
        last: root.dropped,
        dropped,
        early: Math.min(
          dropped,
          [{ queue: root, first }, ...below].reduce(
            (sum, { queue, first }) => sum + earlyRise(first, queue),
            0,
          ),
        ),
        passed: rise(first?.packets, root.packets),
      };
    })
    .sort((a, b) => b.dropped - a.dropped);
}

/** The worst first. */
function classRises(device: string, { first, last }: Sampled<Qdiscs>): readonly ClassRise[] {
  const before = new Map(first.classes?.get(device)?.map(({ id, dropped }) => [id, dropped]));
  return (last.classes?.get(device) ?? [])
    .map((now) => ({ ...now, rise: rise(before.get(now.id), now.dropped) }))
    .sort((a, b) => b.rise - a.rise);
}

/** Of queues that cannot be told apart nothing can be said. */
function byKey(queues: readonly Qdisc[]): ReadonlyMap<string, Qdisc | undefined> {
  const found = new Map<string, Qdisc | undefined>();
  for (const queue of queues) {
    const key = keyOf(queue);
    found.set(key, found.has(key) ? undefined : queue);
  }
  return found;
}

/** A queue that was replaced has another handle, or counters that start again. */
function keyOf({ device, kind, handle, parent }: Qdisc): string {
  return JSON.stringify([device, kind, handle, parent]);
}

/** Its classes are named `<major>:<minor>`, after its handle. */
function isLeaf({ device, handle }: Qdisc, { qdiscs }: Qdiscs): boolean {
  return !qdiscs.some(
    (other) => other.device === device && other.parent?.startsWith(handle) === true,
  );
}

/**
 * CoDel drops at the head of the queue, and counts apart what found the queue full
 * (`drop_overlimit`); red and its like count their early drops.
 */
function earlyRise(first: Qdisc | undefined, last: Qdisc): number {
  const details = (name: string): number => rise(first?.details.get(name), last.details.get(name));
  switch (last.kind) {
    case 'fq_codel':
    case 'codel':
      return Math.max(0, rise(first?.dropped, last.dropped) - details('drop_overlimit'));
    case 'red':
    case 'sfb':
    case 'choke':
      return details('early');
    case 'pie':
    case 'fq_pie':
      return Math.max(0, rise(first?.dropped, last.dropped) - details('overlimit'));
    default:
      return 0;
  }
}
