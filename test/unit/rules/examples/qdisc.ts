import { detailsOf, dropped, links, sampled } from '../evidence.ts';
import { type Example, type HostEvidence } from '../example.ts';

function queue(packets: number, kind = 'pfifo'): HostEvidence['qdisc'] {
  const at = (dropped: number) => ({
    qdiscs: [
      {
        device: 'eth0',
        kind,
        handle: '8001:',
        bytes: 0n,
        packets: 1000n,
        dropped: BigInt(100 + dropped),
        overlimits: 0n,
        requeues: 0n,
        backlogBytes: 0n,
        queueLength: 0n,
        details: new Map<string, bigint>(),
        options: { limit: 1000 },
      },
    ],
  });
  return sampled(at(0), at(packets));
}

const on = (name: string) => detailsOf({ interface: name });

export default [
  {
    rule: 'qdisc-overlimit',
    evidence: (packets) => ({
      qdisc: queue(packets),
      drops: dropped('QDISC_DROP', '__dev_queue_xmit', packets, on('eth0')),
    }),
    causeFrom: 1,
  },
  {
    rule: 'qdisc-aqm',
    evidence: (packets) => ({ drops: dropped('QDISC_CONGESTED', 'codel_dequeue', packets) }),
    causeFrom: 'never',
  },
  {
    rule: 'qdisc-aqm',
    evidence: (packets) => ({
      qdisc: queue(packets, 'fq_codel'),
      drops: dropped('NOT_SPECIFIED', '__fq_codel_dequeue', packets, on('eth0')),
    }),
    causeFrom: 26,
  },
  {
    rule: 'link-down-tx',
    evidence: (packets) => ({
      link: links({ eth1: { operstate: 'down', txDropped: BigInt(packets) } }),
      drops: dropped('QDISC_DROP', '__dev_queue_xmit', packets, on('eth1')),
    }),
    causeFrom: 26,
  },
] satisfies readonly Example[];
