import { expect, test } from 'vitest';
import auth from '../../../rules/tcp/tcp-auth-mismatch.ts';
import backlog from '../../../rules/tcp/tcp-backlog-drop.ts';
import tcpChecksum from '../../../rules/tcp/tcp-csum-error.ts';
import overflow from '../../../rules/tcp/tcp-listen-overflow.ts';
import paws from '../../../rules/tcp/tcp-paws.ts';
import prune from '../../../rules/tcp/tcp-rcvbuf-prune.ts';
import udpChecksum from '../../../rules/udp/udp-csum-error.ts';
import udpMemory from '../../../rules/udp/udp-mem-exhausted.ts';
import { attribute } from '../../../src/engine/attribute.ts';
import type { AnyRule } from '../../../src/model/rule.ts';
import { capture, foreign, snmpRise } from './evidence.ts';

// Before 5.17 the function is all that a drop tells, and one stands for many causes: as many as the counter says.
test.each<[AnyRule, string, string]>([
  [overflow, 'TcpExt.ListenOverflows', 'tcp_v4_rcv'],
  [overflow, 'TcpExt.ListenOverflows', 'cookie_v6_check'],
  [prune, 'TcpExt.RcvPruned', 'tcp_data_queue'],
  [backlog, 'TcpExt.TCPBacklogDrop', 'tcp_add_backlog'],
  [tcpChecksum, 'Tcp.InCsumErrors', 'tcp_v6_rcv'],
  [paws, 'TcpExt.PAWSEstab', 'tcp_validate_incoming'],
  [auth, 'TcpExt.TCPMD5Failure', 'tcp_v4_rcv'],
  [udpChecksum, 'Udp.InCsumErrors', '__udp4_lib_rcv'],
  [udpChecksum, 'Udp.InCsumErrors', 'udp_recvmsg'],
  [udpMemory, 'Udp.MemErrors', '__udp_queue_rcv_skb'],
])('without reasons: $0.id by %s, at %s', (rule, counter, location) => {
  const drops = capture([{ reason: null, location, packets: 50 }], false);
  const findings = rule.judge({ snmp: snmpRise({ [counter]: 30 }), drops }, foreign);
  const { elsewhere } = attribute(
    findings.map((finding) => ({ rule, finding })),
    drops,
    { several: true },
  );
  expect(findings).toMatchObject([{ kind: 'cause', packets: 30 }]);
  expect(elsewhere).toMatchObject([{ location, packets: 20 }]);
});
