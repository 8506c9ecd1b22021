import type { DatagramSocket } from '../../../../checks/sockets.ts';
import { detailsOf, dropped, sampled, settings } from '../evidence.ts';
import { traffic, type Example, type HostEvidence } from '../example.ts';

/** A program at port 53, whose socket lost so many datagrams. */
function losing(datagrams: number): HostEvidence['sockets'] {
  const at = (lost: number) => {
    const socket: DatagramSocket = {
      key: '1',
      protocol: 'udp',
      local: '0.0.0.0:53',
      peer: null,
      inode: 7,
      uid: 0,
      drops: BigInt(1000 + lost),
      queueBytes: lost === 0 ? 0 : 200_000,
      rcvbufBytes: 212_992,
    };
    return { udp: new Map([['1', socket]]), raw: new Map() };
  };
  return sampled(at(0), at(datagrams));
}

export default [
  {
    rule: 'udp-rcvbuf-full',
    evidence: (datagrams) => ({
      snmp: traffic({ 'Udp.RcvbufErrors': datagrams, 'Udp.InErrors': datagrams }),
      sockets: losing(datagrams),
      drops: dropped('SOCKET_RCVBUFF', 'udp_queue_rcv_one_skb', datagrams),
    }),
    causeFrom: 1,
  },
  {
    rule: 'udp-mem-exhausted',
    evidence: (datagrams) => ({
      snmp: traffic({ 'Udp.MemErrors': datagrams, 'Udp.InErrors': datagrams }),
      sockets: losing(datagrams),
      sockstat: sampled({ udpPages: 1000 }, { udpPages: 1000 }),
      sysctl: settings({ 'net.ipv4.udp_mem': '500 750 1000' }),
      drops: dropped('PROTO_MEM', '__udp_enqueue_schedule_skb', datagrams),
    }),
    causeFrom: 1,
  },
  {
    rule: 'udp-csum-error',
    evidence: (datagrams) => ({
      snmp: traffic({ 'Udp.InCsumErrors': datagrams, 'Udp.InErrors': datagrams }),
      sockets: losing(datagrams),
      drops: dropped('UDP_CSUM', '__udp4_lib_rcv', datagrams),
    }),
    causeFrom: 1,
  },
  {
    rule: 'udp-sndbuf',
    evidence: (datagrams) => ({
      snmp: traffic({ 'Udp.SndbufErrors': datagrams, 'Ip.OutDiscards': datagrams }),
    }),
    causeFrom: 50,
  },
  {
    rule: 'no-socket-udp',
    evidence: (datagrams) => ({
      snmp: traffic({ 'Udp.NoPorts': datagrams }),
      drops: dropped(
        'NO_SOCKET',
        '__udp4_lib_rcv',
        datagrams,
        detailsOf({
          topFlows: [
            {
              source: '10.0.0.9',
              destination: '10.0.0.1',
              ports: { source: 50_000, destination: 514 },
              packets: datagrams,
            },
          ],
        }),
      ),
    }),
    causeFrom: 10,
  },
] satisfies readonly Example[];
