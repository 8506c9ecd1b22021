import { counterTable, loss, maybe, noLoss, type Counter } from '../counter.ts';

/** Of single sockets, and the levels in /proc/net/sockstat (memory in pages of 4 KiB, fragments in bytes). */
export const socketCounters: readonly Counter[] = [
  ...counterTable('socket', {
    drops: {
      ...loss(
        'Packets (netlink: messages) that this one socket did not take: its receive buffer was full, or its filter refused them.',
        'udp-rcvbuf-full',
        'udp-mem-exhausted',
        'raw-or-packet-socket-full',
        'netlink-overrun',
      ),
      aliases: ['sk_drops'],
    },
    'Recv-Q': maybe(
      'Bytes the program has not read yet; of a listening TCP socket the connections that wait to be accepted.',
      'udp-rcvbuf-full',
      'tcp-zero-window',
      'tcp-listen-overflow',
    ),
  }),
  ...counterTable('sockstat', {
    'TCP mem': noLoss(
      'Pages all TCP sockets use, on the whole host. Compare with net.ipv4.tcp_mem.',
      'tcp-mem-pressure',
    ),
    'TCP orphan': noLoss(
      'TCP sockets that no program holds any more. Compare with net.ipv4.tcp_max_orphans.',
      'tcp-orphans-tw',
    ),
    'TCP tw': noLoss(
      'TCP connections in TIME_WAIT. Compare with net.ipv4.tcp_max_tw_buckets.',
      'tcp-orphans-tw',
      'port-exhaustion',
    ),
    'UDP mem': noLoss(
      'Pages all UDP sockets use, on the whole host. Compare with net.ipv4.udp_mem.',
      'udp-mem-exhausted',
    ),
    'FRAG memory': noLoss(
      'Bytes of fragments that wait for the rest. Compare with net.ipv4.ipfrag_high_thresh.',
      'ip-frag-memory',
    ),
  }),
];
