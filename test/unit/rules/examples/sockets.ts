import type { DatagramSocket } from '../../../../checks/sockets.ts';
import { capture, details, dropped, heldByAgent, programsOf, sampled } from '../evidence.ts';
import { traffic, type Example } from '../example.ts';

export default [
  {
    rule: 'cgroup-bpf-egress',
    evidence: (packets) => ({
      snmp: traffic({ 'Ip.OutDiscards': packets }),
      drops: dropped('BPF_CGROUP_EGRESS', 'ip_finish_output', packets),
      programs: programsOf({
        programs: [heldByAgent(7)],
        attached: [{ cgroup: '/kube', direction: 'egress', programs: [7] }],
      }),
    }),
    causeFrom: 1,
  },
  {
    rule: 'socket-filter-drop',
    evidence: (packets) => ({
      snmp: traffic({ 'Udp.InErrors': packets }),
      drops: dropped('SOCKET_FILTER', 'udp_queue_rcv_one_skb', packets),
      programs: programsOf({
        programs: [heldByAgent(7)],
        attached: [{ cgroup: '/kube', direction: 'ingress', programs: [7] }],
      }),
    }),
    causeFrom: 1,
  },
  {
    rule: 'lsm-drop',
    evidence: (packets) => ({
      drops: dropped('SECURITY_HOOK', 'sk_filter_trim_cap', packets),
    }),
    causeFrom: 1,
  },
  {
    rule: 'alloc-failure',
    evidence: (packets) => ({ drops: dropped('NOMEM', 'pskb_expand_head', packets) }),
    causeFrom: 1,
  },
  {
    rule: 'other-family',
    evidence: (frames) => ({ drops: dropped('CAN_RX_INVALID_FRAME', 'can_rcv', frames) }),
    causeFrom: 1,
  },
  {
    rule: 'netlink-overrun',
    evidence: (messages) => {
      const at = (lost: number) => ({
        sockets: new Map([[1, { family: 0, portId: 812, drops: BigInt(10 + lost) }]]),
      });
      return { netlink: sampled(at(0), at(messages)) };
    },
    causeFrom: 1,
  },
  {
    rule: 'raw-or-packet-socket-full',
    evidence: (copies) => {
      const at = (lost: number) => ({ sockets: new Map([[1, { drops: BigInt(10 + lost) }]]) });
      return {
        captures: sampled(at(0), at(copies)),
        drops: dropped('PACKET_SOCK_ERROR', 'tpacket_rcv', copies),
      };
    },
    causeFrom: 10,
  },
  {
    rule: 'raw-or-packet-socket-full',
    evidence: (copies) => {
      const at = (lost: number) => {
        const socket: DatagramSocket = {
          key: '9',
          protocol: 'raw',
          local: '0.0.0.0:89',
          peer: null,
          inode: 9,
          uid: 0,
          drops: BigInt(10 + lost),
          queueBytes: 0,
        };
        return { udp: new Map<string, DatagramSocket>(), raw: new Map([['9', socket]]) };
      };
      return { sockets: sampled(at(0), at(copies)) };
    },
    causeFrom: 10,
  },
  {
    rule: 'benign-socket-teardown',
    evidence: (packets) => ({ drops: dropped('QUEUE_PURGE', 'skb_queue_purge_reason', packets) }),
    causeFrom: 'never',
  },
  {
    rule: 'internal',
    evidence: (messages) => ({
      drops: dropped('NOT_SPECIFIED', 'unix_release_sock', messages, { protocol: 0 }),
    }),
    causeFrom: 'never',
  },
  {
    rule: 'container-scope',
    evidence: (packets) => ({
      drops: {
        ...capture([]),
        others: [
          {
            reason: 'SOCKET_RCVBUFF',
            location: 'udp_queue_rcv_one_skb',
            protocol: 0x0800,
            packets,
            edgePackets: 0,
            details: details({ netns: 4026532455 }),
          },
        ],
      },
    }),
    causeFrom: 50,
  },
] satisfies readonly Example[];
