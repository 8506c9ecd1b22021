import type { Fault } from '../fault.ts';
import { inside, SENDER, type Pair } from '../network.ts';
import { PORT, sendUdp } from '../traffic.ts';

function outward({ b }: Pair): Promise<number> {
  return sendUdp({ from: b, to: SENDER, port: PORT, packets: 150, perSecond: 300 });
}

export default [
  {
    name: 'the other end of the cable goes down and comes back',
    cause: 'nic-link-flap',
    confidence: 'certain',
    scope: { interface: 'vb' },
    async traffic(pair) {
      await inside(pair.a, 'ip link set va down');
      await outward(pair);
      await inside(pair.a, 'ip link set va up');
      await outward(pair);
    },
    async lost({ b }) {
      return Number(await inside(b, 'cat /sys/class/net/vb/statistics/tx_dropped'));
    },
  },
] satisfies readonly Fault[];
