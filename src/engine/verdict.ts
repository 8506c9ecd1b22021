import type { Report, Verdict } from '../model/report.ts';

/**
 * Unexplained drops raise a warning above both: a handful of packets is in every window of a healthy
 * host (a socket closing, a late segment), a steady stream is not.
 */
export const UNEXPLAINED_PACKETS = 20;
const UNEXPLAINED_PER_SECOND = 2;

/**
 * The worst thing found; `unknown` when no cause was found but a core source could not be read. It may be what would
 * have explained the drops, harmless ones among them.
 */
export function verdictOf(
  report: Pick<Report, 'causes' | 'totals' | 'window'>,
  coreUnread: boolean,
): Verdict {
  if (report.causes.some(({ severity }) => severity === 'critical')) return 'critical';
  const { unexplained } = report.totals;
  const perSecond = unexplained / report.window.seconds;
  const manyUnexplained = unexplained >= UNEXPLAINED_PACKETS && perSecond >= UNEXPLAINED_PER_SECOND;
  if (report.causes.some(({ severity }) => severity === 'warning')) return 'warning';
  if (coreUnread) return 'unknown';
  return manyUnexplained ? 'warning' : 'ok';
}

/** Exit codes of monitoring plugins: 0 ok, 1 warning, 2 critical, 3 unknown. */
export function exitCodeOf(verdict: Verdict, failOn: 'critical' | 'warning' | 'never'): number {
  if (verdict === 'unknown') return 3;
  if (failOn === 'never' || verdict === 'ok') return 0;
  if (verdict === 'critical') return 2;
  return failOn === 'warning' ? 1 : 0;
}
