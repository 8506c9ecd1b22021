import { nstat } from '../counters.ts';
import type { Fault } from '../fault.ts';
import { RECEIVER, setHostWide, type Pair } from '../network.ts';
import { PORT, sendUdp, serve, steady } from '../traffic.ts';

/** More at once than a small buffer holds, and not more on the whole than the program reads. */
function bursts({ a }: Pair): Promise<number> {
  return sendUdp({ from: a, to: RECEIVER, port: PORT, packets: 300, perSecond: 300, burst: 100 });
}

const fullBuffer = {
  cause: 'udp-rcvbuf-full',
  confidence: 'certain',
  lost: ({ b }) => nstat(b, 'UdpRcvbufErrors'),
} satisfies Partial<Fault>;

export default [
  {
    ...fullBuffer,
    name: 'UDP: default buffer, bursts, a reader that keeps up between them',
    alone: 'the default size of buffers is host-wide',
    async setUp(pair) {
      await setHostWide(pair.cleanUp, '/proc/sys/net/core/rmem_default', '16384');
      await serve(pair, 'bursts');
    },
    traffic: bursts,
    // Sockets keep the buffer they were opened with.
    cure: { fix: 'udp-rcvbuf-full', capture: 'bpf', restart: (pair) => serve(pair, 'bursts') },
  },
  {
    ...fullBuffer,
    name: 'UDP: a program with a tiny SO_RCVBUF of its own',
    setUp: (pair) => serve(pair, 'bursts', 4096),
    traffic: bursts,
  },
  {
    ...fullBuffer,
    name: 'UDP: a program that does not read',
    async setUp(pair) {
      await serve(pair, 'stuck');
      // Fill the queue first: the fault is there before the window opens.
      await sendUdp({
        from: pair.a,
        to: RECEIVER,
        port: PORT,
        packets: 1000,
        perSecond: 0,
        bytes: 1000,
      });
    },
    traffic: steady,
  },
] satisfies readonly Fault[];
