import type { View } from '../../src/model/host.ts';
import { ok, unread, type Reading } from '../../src/model/reading.ts';
import type { SocketDetails } from './socket.ts';

/**
 * For 100,000 sockets ss takes a second, and another one to search /proc for their owners; several times that
 * where no cgroup2 is mounted, for which it looks anew for each socket (iproute2 6.1 with `-e`, measured).
 */
export const SS_TIMEOUT_MS = 5000;

/** The kernel filters for us up to this many ports; beyond, one full dump is the simpler question. */
const SS_FILTER_PORTS_MAX = 64;

/**
 * Owner and buffer of the sockets at some ports of this namespace, by inode number. The owner means a search of
 * all of /proc, so it is asked for only once something was lost.
 *
 * @param tables as options of ss: `t` TCP, `u` UDP, `w` raw
 * @param ports digits; undefined: any
 */
export async function readSocketDetails(
  view: View,
  tables: 'uw' | 'tuw',
  ports: readonly string[] | undefined,
): Promise<Reading<ReadonlyMap<number, SocketDetails>>> {
  const wanted = ports === undefined ? [] : [...new Set(ports)];
  // Names of ports and protocols stay numbers (-n).
  const filter =
    wanted.length === 0 || wanted.length > SS_FILTER_PORTS_MAX
      ? []
      : [`( ${wanted.map((port) => `sport = :${port}`).join(' or ')} )`];
  const output = await view.run(['ss', '-H', `-${tables}anmpe`, ...filter], {
    timeoutMs: SS_TIMEOUT_MS,
  });
  if (output.status !== 'ok') return output;
  const { stdout, stderr, exitCode } = output.value;
  return exitCode === 0
    ? ok(parseSs(stdout))
    : unread('malformed', `ss failed with code ${exitCode}: ${stderr.trim().slice(0, 200)}`);
}

/** `53` of `0.0.0.0:53`. */
export function portOf(local: string): string {
  return local.slice(local.lastIndexOf(':') + 1);
}

/** `ss -mpe` by inode: the only source of a socket's buffer size (sock_diag, `SK_MEMINFO_RCVBUF`). */
export function parseSs(text: string): ReadonlyMap<number, SocketDetails> {
  const details = new Map<number, SocketDetails>();
  // Details follow on lines of their own that begin with white space (`-O` is not in iproute2 < 5.1).
  for (const line of text.replaceAll(/\n\s+/g, ' ').split('\n')) {
    const users = /users:\(\((.+)\)\)(?= |$)/.exec(line);
    // A process chooses its name and could write ` ino:1` or ` skmem:(` into it.
    const rest = users === null ? line : line.replace(users[0], '');
    const inode = / ino:(\d{1,20})(?= |$)/.exec(rest)?.[1];
    if (inode === undefined) continue;
    const cgroup = / cgroup:(\/\S*)/.exec(rest)?.[1];
    const rcvbuf = / skmem:\([^)]*\brb(\d{1,15})\b/.exec(rest)?.[1];
    // `"name",pid=1,fd=3` and more of them, divided by `),(`. A name has at most 15 bytes, too few to
    // imitate an entry and its divider as long as an empty name is refused.
    const user = /^"(.+?)",pid=(\d{1,10}),fd=\d+(?:\),\("|$)/.exec(users?.[1] ?? '');
    details.set(Number(inode), {
      ...(rcvbuf === undefined ? {} : { rcvbufBytes: Number(rcvbuf) }),
      ...(cgroup === undefined ? {} : { cgroup }),
      ...(user === null ? {} : { process: { pid: Number(user[2]), name: user[1] ?? '' } }),
    });
  }
  return details;
}
