import { defineCheck } from '../src/model/check.ts';
import { ok, unread, type Reading } from '../src/model/reading.ts';

/** Sockets by which programs of this namespace hear of changes in the kernel. */
export interface Netlink {
  /** By inode. */
  readonly sockets: ReadonlyMap<number, NetlinkSocket>;
}

export interface NetlinkSocket {
  /** Number of the netlink family: 0 is routing, 12 netfilter (include/uapi/linux/netlink.h). */
  readonly family: number;
  /** Usually the number of the process that opened it, at least for its first one. 0: the kernel's own. */
  readonly portId: number;
  /** Messages that found its receive buffer full, since it was opened. */
  readonly drops: bigint;
  /** Name of the process with the number `portId`; only in the last reading, and of those that lost something. */
  readonly program?: string;
}

const path = '/proc/net/netlink';

export default defineCheck<Netlink>({
  id: 'netlink',
  title: 'Netlink sockets',
  sources: [path, '/proc/PID/comm'],
  async read(host, { phase, first }) {
    const text = await host.readFile(path);
    if (text.status !== 'ok') return text;
    const parsed = parseNetlink(text.value);
    if (parsed.status !== 'ok') return parsed;
    const { value: sockets, notes } = parsed;
    if (phase !== 'last' || first === undefined) return ok({ sockets }, notes);

    const losing = [...sockets].filter(
      ([inode, { portId, drops }]) =>
        portId > 0 && drops > (first.sockets.get(inode)?.drops ?? drops),
    );
    const names = await host.readFiles(losing.map(([, { portId }]) => `/proc/${portId}/comm`));
    const named = losing.flatMap(([inode, socket], index): [number, NetlinkSocket][] => {
      const name = names[index];
      return name?.status === 'ok' ? [[inode, { ...socket, program: name.value.trim() }]] : [];
    });
    return ok({ sockets: new Map([...sockets, ...named]) }, notes);
  },
});

/**
 * `sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode` (netlink_native_seq_show()); the last two since 2.6.32
 * and 2.6.34. Without the kernel's own sockets.
 */
export function parseNetlink(text: string): Reading<Netlink['sockets']> {
  const [header = '', ...lines] = text.split('\n').filter((line) => line.trim() !== '');
  const columns = header.trim().split(/\s+/);
  const indexes = ['Eth', 'Pid', 'Drops', 'Inode'].map((name) => columns.indexOf(name));
  if (indexes.includes(-1)) {
    return unread('malformed', `${path} does not begin with its usual heading.`);
  }
  const sockets = new Map<number, NetlinkSocket>();
  let lost = 0;
  for (const line of lines) {
    const words = line.trim().split(/\s+/);
    const values = indexes.map((index) => words[index] ?? '');
    if (words.length !== columns.length || !values.every((value) => /^\d{1,15}$/.test(value))) {
      lost += 1;
      continue;
    }
    const [family = 0, portId = 0, drops = 0, inode = 0] = values.map(Number);
    if (portId !== 0) sockets.set(inode, { family, portId, drops: BigInt(drops) });
  }
  return ok(sockets, lost === 0 ? [] : [`${path}: lines that cannot be read: ${lost}.`]);
}
