import drops from '../checks/drops.ts';
import type { DropCount } from '../src/model/drops.ts';
import type { Fix } from '../src/model/fix.ts';
import {
  defineRule,
  type Claim,
  type Confidence,
  type Explanation,
  type JudgeWindow,
  type Severity,
} from '../src/model/rule.ts';
import { dropsWhere } from './protocol-counters.ts';

interface ByReason {
  readonly id: string;
  readonly title: string;
  readonly reviewed: string;
  readonly explain: Explanation;
  readonly matches: (drop: DropCount) => boolean;
  readonly confidence: Confidence;
  readonly severityAtMost?: (packets: number, window: JudgeWindow) => Severity;
  readonly means: string;
  readonly fixes: readonly Fix[];
}

/** Kinds of drop that a finding names. */
const NAMED_KINDS = 3;

/**
 * A rule for drops that nothing but the capture counts. Where that sees several namespaces without telling them
 * apart, it is a hint.
 */
export function defineByReason({ matches, ...about }: ByReason) {
  const { confidence, severityAtMost, means, fixes, ...rule } = about;
  return defineRule({
    ...rule,
    needs: { drops },
    judge({ drops: capture }, window) {
      const { drops, packets } = dropsWhere(capture, matches);
      if (packets === 0) return [];
      const elsewhere = window.severalNetns;
      const atMost = elsewhere ? 'notice' : severityAtMost?.(packets, window);
      const claims: readonly Claim[] = drops.map(({ reason, location, protocol }) => ({
        reason,
        location,
        protocol,
      }));
      return [
        {
          kind: 'cause',
          confidence: elsewhere ? 'possible' : confidence,
          packets,
          ...(atMost === undefined ? {} : { severityAtMost: atMost }),
          scope: {},
          because: kindsOf(drops).map(([kind, count]) => ({
            source: 'skb:kfree_skb',
            text: `${count} drops ${kind}${elsewhere ? ', in this or another network namespace' : ''}`,
          })),
          means,
          rulesOut: [],
          fixes,
          claims,
        },
      ];
    },
  });
}

function kindsOf(
  drops: readonly DropCount[],
): readonly (readonly [kind: string, packets: number])[] {
  const kinds = new Map<string, number>();
  for (const { reason, location, packets } of drops) {
    const kind = reason === null ? `at ${location}` : `with the reason ${reason} at ${location}`;
    kinds.set(kind, (kinds.get(kind) ?? 0) + packets);
  }
  return [...kinds].sort(([, a], [, b]) => b - a).slice(0, NAMED_KINDS);
}
