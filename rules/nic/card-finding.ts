import { rise } from '../../src/model/counter.ts';
import type { Fix, Risk } from '../../src/model/fix.ts';
import type { CauseFinding } from '../../src/model/rule.ts';
import { most, type Card, type Rise } from './cards.ts';

interface CardLoss {
  readonly card: Card;
  /** What counted it. */
  readonly rises: readonly Rise[];
  readonly direction: 'rx' | 'tx';
  readonly confidence: CauseFinding['confidence'];
  /** Default: the largest of the rises. */
  readonly packets?: number;
  readonly means: string;
}

/** Packets lost in the card or its driver, where the kernel sees no drop. */
export function cardFinding({
  card: { name, first, last },
  rises,
  direction,
  confidence,
  packets = most(rises)?.by ?? 0,
  means,
}: CardLoss): CauseFinding {
  const passed =
    direction === 'rx'
      ? rise(first.link.rxPackets, last.link.rxPackets)
      : rise(first.link.txPackets, last.link.txPackets);
  return {
    kind: 'cause',
    confidence,
    packets,
    traffic: {
      packets: passed + packets,
      what: direction === 'rx' ? `packets that reached ${name}` : `packets to leave by ${name}`,
    },
    scope: { interface: name },
    because: rises.map(({ seen }) => seen),
    means,
    rulesOut: [],
    fixes: [],
    claims: [],
    beforeEvents: true,
  };
}

/** What only a person can do; measured by the counter that rose most. */
export function handFix(
  { name }: Card,
  rises: readonly Rise[],
  fix: Pick<Fix, 'id' | 'title' | 'cost'> & { readonly risk: Risk; readonly text: string },
): Fix {
  const { id, title, cost, risk, text } = fix;
  const counter = most(rises)?.counter;
  return {
    id,
    title,
    cost,
    risk,
    takesEffect: 'at-once',
    steps: [{ kind: 'manual', text }],
    ...(counter === undefined
      ? {}
      : {
          expect: { counter, change: 'stops-rising', traffic: `link ${name}.rx_packets` } as const,
        }),
  };
}
