import { start } from '../command.ts';
import { nstat } from '../counters.ts';
import type { Fault } from '../fault.ts';
import { inside, setHostWide, type Pair } from '../network.ts';
import { sendUdp, until } from '../traffic.ts';

/** On the network of the pair, and nobody has it. */
const ABSENT = '10.77.0.99';

/** One datagram to each of many addresses. */
const SWEEP = `
use strict; use Socket;
socket(my $s, PF_INET, SOCK_DGRAM, 0) or die $!;
for my $round (1 .. 2) { for my $host (10 .. 249) {
  send($s, 'x', 0, sockaddr_in(9, inet_aton("10.77.0.$host"))); select(undef, undef, undef, 0.001);
} }
`;

async function sweep({ b }: Pair): Promise<void> {
  const { exitCode, stderr } = await start('ip', ['netns', 'exec', b, 'perl', '-e', SWEEP]);
  if (exitCode !== 0) throw new Error(`the sweep failed: ${stderr}`);
}

const limit = (name: string) => `/proc/sys/net/ipv4/neigh/default/gc_thresh${name}`;

export default [
  {
    name: 'a peer that does not answer ARP',
    cause: 'neigh-unresolved',
    confidence: { bpf: 'certain', tracefs: 'likely' },
    scope: { interface: 'vb' },
    setUp: ({ b }) =>
      inside(
        b,
        // The queue takes them all, however late the answer that there is none; and each sender is told.
        'sysctl -qw net.ipv4.icmp_msgs_per_sec=10000 net.ipv4.icmp_msgs_burst=10000 net.ipv4.neigh.vb.mcast_solicit=1 net.ipv4.neigh.vb.retrans_time_ms=100 net.ipv4.neigh.vb.unres_qlen_bytes=4000000',
      ),
    async traffic({ b }) {
      const told = () => nstat(b, 'IcmpOutDestUnreachs');
      const before = await told();
      // At once: while the kernel tells the senders of those that waited, another packet starts the search anew, and
      // the rest of them is dropped without a word (neigh_invalidate, 6.18).
      const packets = await sendUdp({ from: b, to: ABSENT, port: 9, packets: 200, perSecond: 0 });
      await until(async () => (await told()) >= before + packets);
    },
    lost: ({ b }) => nstat(b, 'IcmpOutDestUnreachs'),
  },
  {
    name: 'neighbour table full',
    cause: 'neigh-table-overflow',
    confidence: 'certain',
    interface: null,
    alone: 'the size of the table is host-wide',
    async setUp({ cleanUp }) {
      await setHostWide(cleanUp, limit('1'), '1');
      await setHostWide(cleanUp, limit('2'), '20');
      await setHostWide(cleanUp, limit('3'), '30');
    },
    traffic: sweep,
    lost: ({ b }) => nstat(b, 'IpOutDiscards'),
  },
] satisfies readonly Fault[];
