import { conntrackStat } from '../counters.ts';
import type { Fault } from '../fault.ts';
import { inside, nft, SENDER, type Pair } from '../network.ts';
import { PORT, sendUdp } from '../traffic.ts';

/** From the namespace under diagnosis: what is lost is on its way out. */
function outward({ b }: Pair, options: { to?: string; flows?: number } = {}): Promise<number> {
  return sendUdp({ from: b, to: SENDER, port: PORT, packets: 200, perSecond: 200, ...options });
}

async function queueDropped({ b }: Pair): Promise<number> {
  const queues = JSON.parse(await inside(b, 'tc -s -j qdisc show dev vb')) as {
    root?: true;
    drops: number;
  }[];
  return queues.find(({ root }) => root === true)?.drops ?? 0;
}

async function txDropped({ b }: Pair, name: string): Promise<number> {
  return Number(await inside(b, `cat /sys/class/net/${name}/statistics/tx_dropped`));
}

const NOWHERE = '192.0.2.9';

export default [
  {
    name: 'a shaper that lets less through than is sent',
    cause: 'qdisc-overlimit',
    confidence: 'certain',
    setUp: ({ b }) => inside(b, 'tc qdisc add dev vb root tbf rate 100kbit burst 2k limit 3000'),
    traffic: (pair) => outward(pair),
    lost: queueDropped,
  },
  {
    name: 'a class of a divided line that gets more than its share',
    cause: 'qdisc-overlimit',
    confidence: 'certain',
    scope: { interface: 'vb', rule: 'htb class 1:10' },
    async setUp({ b }) {
      await inside(b, 'tc qdisc add dev vb root handle 1: htb default 10');
      await inside(b, 'tc class add dev vb parent 1: classid 1:10 htb rate 100kbit burst 2k');
      await inside(b, 'tc class add dev vb parent 1: classid 1:20 htb rate 10mbit');
      await inside(b, 'tc qdisc add dev vb parent 1:10 handle 10: pfifo limit 2');
    },
    traffic: (pair) => outward(pair),
    lost: queueDropped,
  },
  {
    name: 'the other end of the cable is down',
    cause: 'link-down-tx',
    confidence: 'certain',
    interface: 'dead',
    scope: { interface: 'dead' },
    async setUp({ b }) {
      await inside(b, 'ip link add dead type veth peer name other-end');
      await inside(b, 'ip link set dead up');
      await inside(b, 'tc qdisc add dev dead root pfifo');
      await inside(b, `ip route add ${NOWHERE}/32 dev dead`);
      await inside(b, `ip neigh add ${NOWHERE} dev dead lladdr 02:00:00:00:00:09 nud permanent`);
    },
    traffic: (pair) => outward(pair, { to: NOWHERE }),
    lost: (pair) => txDropped(pair, 'dead'),
  },
  {
    name: 'source NAT with four ports for two hundred connections',
    cause: 'nf-conntrack-insert-failed',
    confidence: 'certain',
    interface: null,
    setUp: ({ b }) =>
      nft(
        b,
        `table ip n { chain p { type nat hook postrouting priority 100; udp dport ${PORT} snat to 10.77.0.2:4000-4003; }; }`,
      ),
    traffic: (pair) => outward(pair, { flows: 200 }),
    lost: ({ b }) => conntrackStat(b, 'insert_failed'),
  },
  {
    name: 'a rule hands packets to a program that is not there',
    cause: 'nfqueue-drop',
    confidence: 'certain',
    alone: 'tracefs knows it by its drops alone',
    setUp: ({ b }) =>
      inside(b, `iptables-legacy -A INPUT -p udp --dport ${PORT} -j NFQUEUE --queue-num 7`),
    traffic: ({ a }) =>
      sendUdp({ from: a, to: '10.77.0.2', port: PORT, packets: 200, perSecond: 200 }),
    async lost({ b }) {
      const rules = await inside(b, 'iptables-legacy-save -c');
      return Number(/\[(\d+):\d+\] -A INPUT/.exec(rules)?.[1] ?? 0);
    },
  },
] satisfies readonly Fault[];
