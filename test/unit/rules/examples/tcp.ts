import { detailsOf, dropped, sampled, settings } from '../evidence.ts';
import { traffic, type Example } from '../example.ts';

export default [
  {
    rule: 'tcp-zero-window',
    evidence: (connections) => ({
      snmp: traffic({ 'TcpExt.TCPToZeroWindowAdv': connections }),
    }),
    causeFrom: 3,
  },
  {
    // Windows that open again; data comes nevertheless.
    rule: 'tcp-zero-window',
    evidence: (segments) => ({
      snmp: traffic({
        'TcpExt.TCPToZeroWindowAdv': 1000,
        'TcpExt.TCPFromZeroWindowAdv': 1000,
        'TcpExt.TCPZeroWindowDrop': segments,
      }),
      drops: dropped('TCP_ZEROWINDOW', 'tcp_data_queue', segments),
    }),
    causeFrom: 20,
  },
  {
    rule: 'tcp-backlog-drop',
    evidence: (segments) => ({
      snmp: traffic({ 'TcpExt.TCPBacklogDrop': segments }),
      drops: dropped('SOCKET_BACKLOG', 'tcp_add_backlog', segments),
    }),
    causeFrom: 1,
  },
  {
    rule: 'tcp-reset-noise',
    evidence: (segments) => ({
      snmp: traffic({ 'Tcp.EstabResets': segments }),
      drops: dropped('TCP_RESET', 'tcp_validate_incoming', segments),
    }),
    causeFrom: 100,
  },
  {
    rule: 'tcp-paws',
    evidence: (segments) => ({
      snmp: traffic({ 'TcpExt.PAWSEstab': segments, 'Tcp.InSegs': 1000 }),
      drops: dropped('TCP_RFC7323_PAWS', 'tcp_validate_incoming', segments),
    }),
    causeFrom: 20,
  },
  {
    rule: 'tcp-csum-error',
    evidence: (segments) => ({
      snmp: traffic({ 'Tcp.InCsumErrors': segments, 'Tcp.InErrs': segments }),
      drops: dropped('TCP_CSUM', 'tcp_v4_rcv', segments),
    }),
    causeFrom: 1,
  },
  {
    rule: 'tcp-orphans-tw',
    evidence: (tcpOrphans) => ({
      sockstat: sampled({ tcpOrphans: 0 }, { tcpOrphans }),
      sysctl: settings({ 'net.ipv4.tcp_max_orphans': 4000 }),
    }),
    causeFrom: 1001,
    clear: 3000,
  },
  {
    rule: 'tcp-orphans-tw',
    evidence: (connections) => ({
      snmp: traffic({ 'TcpExt.TCPTimeWaitOverflow': connections }),
    }),
    causeFrom: 5,
  },
  {
    rule: 'no-socket-tcp',
    evidence: (segments) => ({
      snmp: traffic({ 'Tcp.OutRsts': segments }),
      drops: dropped('NO_SOCKET', 'tcp_v4_rcv', segments, toPort(8080, 6, segments)),
    }),
    causeFrom: 10,
  },
  {
    rule: 'tcp-syn-queue',
    evidence: (requests) => ({
      snmp: traffic({ 'TcpExt.TCPReqQFullDrop': requests, 'TcpExt.ListenDrops': requests }),
      sysctl: settings({ 'net.ipv4.tcp_syncookies': 0, 'net.ipv4.tcp_max_syn_backlog': 128 }),
    }),
    causeFrom: 1,
  },
  {
    rule: 'tcp-syn-queue',
    evidence: (requests) => ({
      snmp: traffic({ 'TcpExt.TCPReqQFullDoCookies': requests }),
      sysctl: settings({ 'net.ipv4.tcp_syncookies': 1 }),
    }),
    causeFrom: 10,
  },
  {
    rule: 'tcp-listen-overflow',
    evidence: (requests) => ({
      snmp: traffic({ 'TcpExt.ListenOverflows': requests, 'TcpExt.ListenDrops': requests }),
      sysctl: settings({ 'net.ipv4.tcp_syncookies': 0, 'net.core.somaxconn': 128 }),
      drops: dropped('TCP_LISTEN_OVERFLOW', 'tcp_v4_rcv', requests),
    }),
    causeFrom: 1,
  },
  {
    rule: 'port-exhaustion',
    evidence: (used) => {
      const use = { ports: 1000, busiest: { from: '10.0.0.1', to: '10.0.0.2:80', used } };
      return { 'port-use': sampled(use, use) };
    },
    causeFrom: 900,
    clear: 999,
  },
  {
    rule: 'remote-loss',
    evidence: (segments) => ({
      snmp: traffic({ 'Tcp.RetransSegs': segments, 'Tcp.OutSegs': 1000 }),
    }),
    causeFrom: 30,
  },
  {
    rule: 'tcp-mem-pressure',
    evidence: (tcpPages) => ({
      snmp: traffic({ 'TcpExt.TCPMemoryPressures': tcpPages > 1000 ? 1 : 0 }),
      sockstat: sampled({ tcpPages: 0 }, { tcpPages }),
      sysctl: settings({ 'net.ipv4.tcp_mem': '750 1000 1500' }),
    }),
    causeFrom: 1001,
    clear: 1400,
  },
  {
    rule: 'tcp-closed-with-data',
    evidence: (segments) => ({
      snmp: traffic({ 'TcpExt.TCPAbortOnData': segments }),
      drops: dropped('TCP_ABORT_ON_DATA', 'tcp_rcv_state_process', segments),
    }),
    causeFrom: 'never',
  },
  {
    rule: 'tcp-auth-mismatch',
    evidence: (segments) => ({
      snmp: traffic({ 'TcpExt.TCPMD5Failure': segments }),
      drops: dropped('TCP_MD5FAILURE', 'tcp_v4_rcv', segments),
    }),
    causeFrom: 1,
  },
  {
    rule: 'tcp-sequence-noise',
    evidence: (segments) => ({
      snmp: traffic({ 'TcpExt.DelayedACKLost': segments }),
      drops: dropped('TCP_OLD_DATA', 'tcp_data_queue', segments),
    }),
    causeFrom: 100,
  },
  {
    rule: 'tcp-rcvbuf-prune',
    evidence: (segments) => ({
      snmp: traffic({ 'TcpExt.RcvPruned': segments, 'TcpExt.TCPRcvQDrop': segments }),
      drops: dropped('PROTO_MEM', 'tcp_data_queue', segments),
    }),
    causeFrom: 1,
  },
] satisfies readonly Example[];

function toPort(destination: number, ipProtocol: number, packets: number) {
  return detailsOf({
    ipProtocol,
    topFlows: [
      {
        source: '10.0.0.9',
        destination: '10.0.0.1',
        ports: { source: 50_000, destination },
        packets,
      },
    ],
  });
}
