import drops from '../../checks/drops.ts';
import { defineRule, type Claim, type Explanation } from '../../src/model/rule.ts';

/** What scanners, traceroute and late packets make on a healthy host. More is not called harmless. */
const STRAY_PACKETS_PER_SECOND = 5;

interface Stray {
  readonly id: string;
  readonly title: string;
  readonly reviewed: string;
  /** Why a few are harmless, in one sentence. */
  readonly text: string;
  readonly reason: string;
  readonly locations: readonly string[];
  readonly explain: Explanation;
}

/** A rule for drops that are harmless as long as they are few; more of them stay unexplained. */
export function defineStray({ text, reason, locations, ...rule }: Stray) {
  return defineRule({
    ...rule,
    needs: {},
    wants: { drops },
    judge({ drops }, { seconds }) {
      const packets = (drops?.drops ?? [])
        .filter((drop) => drop.reason === reason && locations.includes(drop.location))
        .reduce((sum, { packets }) => sum + packets, 0);
      const claims: Claim[] = [{ reason, location: locations }];
      return packets <= STRAY_PACKETS_PER_SECOND * seconds
        ? [{ kind: 'benign', text, claims }]
        : [];
    },
  });
}
