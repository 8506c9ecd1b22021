import { defineBenign } from '../benign.ts';

export default defineBenign({
  id: 'tcp-closed-with-data',
  title: 'Data for TCP connections that the program here has closed',
  reviewed: '2026-11-22',
  text: 'Data of peers for connections that the program here had already closed. The peer is told by a reset.',
  claims: [{ reason: 'TCP_ABORT_ON_DATA' }],
  explain: {
    see: 'Clients see "connection reset by peer" when they send to a connection that the server has closed, and servers when a client went away in the middle of an answer.',
    kernel:
      'Once a program has closed a socket for good, data that still arrives cannot be delivered. `tcp_rcv_state_process` (net/ipv4/tcp_input.c) resets the connection and drops the data: `TCP_ABORT_ON_DATA`, counted in `TcpExt TCPAbortOnData`.',
    confirm: '`nstat -az TcpExtTCPAbortOnData TcpExtTCPAbortOnClose`.',
    fix: 'None in the kernel. A program that must not cut its peers off shuts down its sending side and reads to the end before it closes.',
    normal: 'Browsers and load balancers that cancel requests do this all the time.',
    references: ['net/ipv4/tcp_input.c tcp_rcv_state_process (Linux 6.18)'],
  },
});
