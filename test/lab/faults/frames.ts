import { rxDropped } from '../counters.ts';
import type { Fault } from '../fault.ts';
import { frameAddresses } from '../network.ts';
import { sendFrames } from '../traffic.ts';

export default [
  {
    name: 'frames of a protocol nobody handles (MPLS)',
    cause: 'l2-unhandled-proto',
    confidence: 'certain',
    async traffic(pair) {
      await sendFrames(pair.a, 'va', 200, `${await frameAddresses(pair)}8847${'00'.repeat(50)}`);
    },
    lost: ({ b }) => rxDropped(b, 'vb'),
  },
] satisfies readonly Fault[];
