import { defineWatch } from '../src/model/check.ts';
import type { DropCapture, SocketOwner } from '../src/model/drops.ts';
import type { Host } from '../src/model/host.ts';
import { ok, unread, type Reading } from '../src/model/reading.ts';
import { nameInterfaces } from './drops/interface-names.ts';
import { losingSockets } from './drops/losing-sockets.ts';
import { readSocketDetails } from './sockets/details.ts';

/** Every skb the kernel frees on a drop path in the window, on the whole host. */
export default defineWatch<DropCapture>({
  id: 'drops',
  title: 'Live drop capture',
  sources: ['tracepoint skb:kfree_skb', 'ss -tuwanmpe', '/sys/class/net/*/ifindex'],
  core: true,
  async start(host, { capture, netns }) {
    if (capture === 'none')
      return unread('not-applicable', 'the capture is switched off (--capture none)');
    const started = await host.startCapture({
      backend: capture,
      ...(netns !== undefined && { netns }),
    });
    if (started.status !== 'ok') return started;
    const running = started.value;
    return ok(
      {
        mark: (moment) => {
          running.mark(moment);
        },
        stop: async () => {
          const reading = await running.stop();
          return reading.status === 'ok'
            ? withOwners(host, await nameInterfaces(host, reading.value), reading.notes)
            : reading;
        },
      },
      started.notes,
    );
  },
});

/** Names the processes whose sockets lost packets. One search of /proc, and none where nothing was lost. */
async function withOwners(
  host: Host,
  capture: DropCapture,
  notes: readonly string[] = [],
): Promise<Reading<DropCapture>> {
  const losing = losingSockets(capture, host.facts.netnsInode);
  if (losing.inodes.size === 0) return ok(capture, notes);
  const details = await readSocketDetails(host, 'tuw', losing.ports);
  if (details.status !== 'ok') {
    return ok(capture, [
      ...notes,
      `Which processes own the sockets that lost packets is not known: ${details.reason}`,
    ]);
  }
  const owners = new Map<number, SocketOwner>();
  const cgroups = new Map<number, string>();
  for (const [inode, { process, cgroup }] of details.value) {
    if (!losing.inodes.has(inode)) continue;
    if (process !== undefined) owners.set(inode, process);
    if (cgroup !== undefined) cgroups.set(inode, cgroup);
  }
  return ok({ ...capture, owners, cgroups }, notes);
}
