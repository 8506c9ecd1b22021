import { softnetColumn } from '../counters.ts';
import type { Fault } from '../fault.ts';
import { inside, nft, RECEIVER, setHostWide, type Pair } from '../network.ts';
import { PORT, sendUdp, serve } from '../traffic.ts';

/** Enough rules that handling a packet takes many times as long as sending one. */
const SLOW_RULES = 2000;

/** Handles the receiver's packets on CPU 1, and so slowly that bursts pile up in its queue. */
async function slowOnOtherCpu({ b }: Pair): Promise<void> {
  await inside(b, 'tee /sys/class/net/vb/queues/rx-0/rps_cpus', '2');
  const rules = Array.from(
    { length: SLOW_RULES },
    (_, index) => `udp dport ${10_000 + index} counter;`,
  );
  await nft(
    b,
    `table ip slow { chain p { type filter hook prerouting priority -300; ${rules.join(' ')} }; }`,
  );
}

/** Sends from CPU 0 to packets handled on CPU 1, through the queue that RPS fills. */
function burstsToOtherCpu({ a }: Pair, burst: number): Promise<number> {
  return sendUdp({
    from: a,
    to: RECEIVER,
    port: PORT,
    packets: 1500,
    perSecond: 1000,
    burst,
    cpu: 0,
  });
}

const inputQueue = {
  confidence: 'certain',
  alone: 'the queue, its limit and its counters are host-wide',
} satisfies Partial<Fault>;

const MAX_BACKLOG = '/proc/sys/net/core/netdev_max_backlog';

export default [
  {
    ...inputQueue,
    name: 'input queue of a CPU overflows',
    cause: 'softnet-backlog',
    scope: { cpu: 1 },
    async setUp(pair) {
      await setHostWide(pair.cleanUp, MAX_BACKLOG, '10');
      await slowOnOtherCpu(pair);
      await serve(pair, 'reads');
    },
    traffic: (pair) => burstsToOtherCpu(pair, 200),
    lost: () => softnetColumn(2),
    cure: { fix: 'softnet-backlog', capture: 'tracefs' },
  },
  {
    ...inputQueue,
    name: 'flow limit holds one flow back',
    cause: 'rps-flow-limit',
    // Counted by the CPU that passes packets on.
    scope: { cpu: 0 },
    async setUp(pair) {
      // The limit holds a flow back from half a queue on, once 64 packets have met it: before the queue is full.
      await setHostWide(pair.cleanUp, MAX_BACKLOG, '200');
      await setHostWide(pair.cleanUp, '/proc/sys/net/core/flow_limit_cpu_bitmap', '3');
      await slowOnOtherCpu(pair);
      await serve(pair, 'reads');
    },
    traffic: (pair) => burstsToOtherCpu(pair, 250),
    lost: () => softnetColumn(11),
    cure: { fix: 'rps-flow-limit', capture: 'bpf' },
  },
] satisfies readonly Fault[];
