import { rxDropped } from '../counters.ts';
import type { Fault } from '../fault.ts';
import { macOf, type Pair } from '../network.ts';
import { sendFrames } from '../traffic.ts';

async function frames({ a, b }: Pair, etherType: string): Promise<void> {
  const to = (await macOf(b, 'vb')).replaceAll(':', '');
  const from = (await macOf(a, 'va')).replaceAll(':', '');
  await sendFrames(a, 'va', 200, `${to}${from}${etherType}${'00'.repeat(50)}`);
}

export default [
  {
    name: 'frames of a protocol nobody handles (MPLS)',
    cause: 'l2-unhandled-proto',
    confidence: 'certain',
    setUp: () => Promise.resolve(),
    traffic: (pair) => frames(pair, '8847'),
    lost: ({ b }) => rxDropped(b, 'vb'),
  },
] satisfies readonly Fault[];
