import { defineCheck } from '../src/model/check.ts';
import type { View } from '../src/model/host.ts';
import { ok, unread, type Reading } from '../src/model/reading.ts';
import { parseSs } from './sockets/details.ts';
import type { SocketDetails } from './sockets/socket.ts';

/** Packet sockets of this namespace: tcpdump, DHCP clients, lldpd and the like. */
export interface Captures {
  /** By inode. */
  readonly sockets: ReadonlyMap<number, Capture>;
}

export interface Capture extends SocketDetails {
  /** Packets whose copy found the buffer of the socket full, since it was opened. */
  readonly drops: bigint;
}

const table = '/proc/net/packet';

export default defineCheck<Captures>({
  id: 'captures',
  title: 'Packet sockets',
  sources: [table, 'ss -H0anme', 'ss -H0anmpe'],
  async read(host, { phase, first }) {
    const list = await host.readFile(table);
    if (list.status !== 'ok') return list;
    // The table has no drops; ss has, but most hosts have no such socket to ask for.
    if (list.value.trim().split('\n').length < 2) return ok({ sockets: new Map() });
    const sockets = await readByDiag(host, '-H0anme');
    const moved =
      sockets.status === 'ok' &&
      [...sockets.value.sockets].some(
        ([inode, { drops }]) => drops > (first?.sockets.get(inode)?.drops ?? drops),
      );
    if (phase !== 'last' || !moved) return sockets;
    // The owners mean a search of all of /proc.
    const named = await readByDiag(host, '-H0anmpe');
    return named.status === 'ok' ? named : sockets;
  },
});

async function readByDiag(view: View, options: string): Promise<Reading<Captures>> {
  const output = await view.run(['ss', options], { timeoutMs: 2000 });
  if (output.status !== 'ok') return output;
  const { stdout, exitCode } = output.value;
  return exitCode === 0
    ? ok({ sockets: parseCaptures(stdout) })
    : unread('absent', `ss failed with code ${exitCode}.`);
}

/**
 * `p_raw UNCONN 0 0 *:eth0 * ino:3965056 sk:1 … skmem:(r0,rb212992,t0,tb212992,f0,w0,o0,bl0,d70)`, with the memory
 * on a line of its own. Sockets without it (old kernels) are left out.
 */
export function parseCaptures(text: string): Captures['sockets'] {
  const sockets = new Map<number, Capture>();
  for (const line of text.replaceAll(/\n\s+/g, ' ').split('\n')) {
    const drops = / skmem:\([^)]*,d(\d{1,20})\)[^(]*$/.exec(line)?.[1];
    for (const [inode, details] of parseSs(line)) {
      if (drops !== undefined) sockets.set(inode, { ...details, drops: BigInt(drops) });
    }
  }
  return sockets;
}
