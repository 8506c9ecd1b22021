import type { Listener, Listeners } from '../../checks/listeners.ts';
import type { Sampled } from '../../src/model/check.ts';

/** A listening socket whose queue of connections to accept was found full. */
export interface FullListener {
  /** As last seen, with its owner where that is known. */
  readonly socket: Listener;
  /** Looks at it since the first refusal, and how many of them found it full. */
  readonly looks: number;
  readonly fullLooks: number;
  readonly peak: number;
}

/** Those that were full at any look, the most often first. */
export function fullListeners({ samples }: Sampled<Listeners>): readonly FullListener[] {
  const seen = new Map<number, FullListener>();
  for (const socket of samples.flatMap(({ sockets = [] }) => sockets)) {
    const before = seen.get(socket.inode) ?? { looks: 0, fullLooks: 0, peak: 0 };
    seen.set(socket.inode, {
      socket,
      looks: before.looks + 1,
      fullLooks: before.fullLooks + (isFull(socket) ? 1 : 0),
      peak: Math.max(before.peak, socket.queued),
    });
  }
  return [...seen.values()]
    .filter(({ fullLooks }) => fullLooks > 0)
    .sort((a, b) => b.fullLooks - a.fullLooks || a.socket.port - b.socket.port);
}

/** sk_acceptq_is_full(): the queue takes one more than the backlog. */
function isFull({ queued, backlog }: Listener): boolean {
  return queued > backlog;
}

/** Between always and half of the looks: the program does not keep up, whatever the length of the queue. */
const BEHIND_SHARE = 0.75;
/** One look says nothing about how long. */
const LOOKS_MIN = 2;

/**
 * - `behind`: full whenever we looked, so a longer queue would be full as well
 * - `bursts`: it empties in between, so a longer queue takes more of a burst
 */
export function whyFull({ looks, fullLooks }: FullListener): 'behind' | 'bursts' | 'unknown' {
  if (looks < LOOKS_MIN) return 'unknown';
  return fullLooks >= looks * BEHIND_SHARE ? 'behind' : 'bursts';
}

export function programOf({ process, local }: Listener): string {
  return process === undefined ? `the program at ${local}` : `${process.name} (pid ${process.pid})`;
}
