import type { FixPlan } from '../fix/plan.ts';
import type { FixPreview } from '../fix/preview.ts';
import type { FixResult } from '../fix/run.ts';
import type { Reading } from '../model/reading.ts';
import type { Report } from '../model/report.ts';

/** `whydrop fix --json`: the report, and what became of its fixes, or with --dry-run would become. */
export function fixJson(
  report: Report,
  plan: FixPlan,
  outcome: { previews: readonly FixPreview[] } | { results: Reading<readonly FixResult[]> },
): string {
  const document = {
    schema: 'whydrop.fix/1',
    report,
    notApplied: plan.printed.map(({ name, why }) => ({ name, why })),
    unknown: plan.unknown,
    ...('previews' in outcome
      ? {
          previews: outcome.previews.map(({ fix, ...preview }) => ({ name: fix.name, ...preview })),
        }
      : resultsOf(outcome.results)),
    ...(plan.refused === undefined ? {} : { refused: plan.refused }),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function resultsOf(results: Reading<readonly FixResult[]>) {
  if (results.status !== 'ok') return { fixes: [], refused: results.reason };
  return {
    fixes: results.value.map(({ fix, id, outcome, reason, judgement, newCauses = [] }) => ({
      name: fix.name,
      id,
      outcome,
      reason,
      rate: judgement?.rate,
      newCauses,
    })),
  };
}
