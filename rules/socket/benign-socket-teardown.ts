import { defineBenign, unspecified } from '../benign.ts';

/** Functions that empty the queues of a socket that goes away; each kernel and compiler shows some of them. */
const LOCATIONS = [
  'sk_stream_kill_queues',
  'inet_csk_destroy_sock',
  'inet_sock_destruct',
  'udp_destruct_common',
  'udp_destruct_sock',
  'udpv6_destruct_sock',
  'tcp_close',
  '__tcp_close',
  'tcp_disconnect',
  'tcp_write_queue_purge',
  'tcp_rtx_queue_purge',
  'tcp_clean_rtx_queue',
  'sk_wmem_free_skb',
  'skb_rbtree_purge',
  'skb_queue_purge',
  '__skb_queue_purge',
  'skb_queue_purge_reason',
  'skb_errqueue_purge',
  'packet_release',
  // Nearest symbol of unloaded or inlined code on old kernels.
  'inet_csk_reset_xmit_timer',
];

export default defineBenign({
  id: 'benign-socket-teardown',
  title: 'Sockets are closed with data in their queues',
  reviewed: '2026-11-22',
  text: 'Data left in the queues of sockets and devices that were closed: nobody was going to read it.',
  claims: [
    {
      reason: ['QUEUE_PURGE', 'SOCKET_CLOSE', 'UNIX_DISCONNECT', 'UNIX_SKIP_OOB'],
    },
    ...unspecified({ location: LOCATIONS }),
  ],
  explain: {
    see: 'Some drop events for each program that ends or connection that closes. No counter of loss moves.',
    kernel:
      'A socket that is closed frees what its queues still hold: received data that the program did not read, sent data that was acknowledged or no longer matters. Kernels since 6.6 call it `QUEUE_PURGE` (`skb_queue_purge_reason`, net/core/skbuff.c), AF_UNIX sockets `SOCKET_CLOSE` and `UNIX_DISCONNECT` (`unix_release_sock`, net/unix/af_unix.c). UDP sockets give no reason (`udp_destruct_common`, net/ipv4/udp.c, Linux 6.18).',
    confirm:
      'The events come when programs end. `nstat -az TcpExtTCPAbortOnClose` counts TCP connections closed with unread data.',
    fix: 'None is needed.',
    normal:
      'Always. If a UDP service is restarted under load, the datagrams that waited in its queue go with it.',
    references: [
      'net/core/stream.c sk_stream_kill_queues (Linux 6.18)',
      'net/ipv4/udp.c udp_destruct_common (Linux 6.18)',
      'net/unix/af_unix.c unix_release_sock (Linux 6.18)',
    ],
  },
});
