import type { ReportCause } from '../model/report.ts';
import type { CauseFinding, Confidence, Severity } from '../model/rule.ts';

/** Worst first. */
const SEVERITIES: readonly Severity[] = ['critical', 'warning', 'notice'];
const CONFIDENCES: readonly Confidence[] = ['certain', 'likely', 'possible'];

/**
 * Shares of the layer's packets above which a loss is a warning or critical: 0.1 % is where TCP
 * throughput and voice start to suffer, 1 % is felt by everybody.
 */
const WARNING_SHARE = 0.001;
const CRITICAL_SHARE = 0.01;
/** Fewer lost packets than this in a window are no basis for an alarm, whatever their share. */
const WARNING_PACKETS = 5;
const CRITICAL_PACKETS = 20;

/** How much traffic is hurt. A risk that has cost no packets yet is a notice. */
export function severityOf(finding: CauseFinding): Severity {
  return milder(finding.severityAtMost ?? 'critical', severityOfLoss(finding));
}

function severityOfLoss({ packets, traffic }: CauseFinding): Severity {
  const share = traffic === undefined ? 1 : packets / Math.max(traffic.packets, 1);
  if (share >= CRITICAL_SHARE && packets >= CRITICAL_PACKETS) return 'critical';
  if (share >= WARNING_SHARE && packets >= WARNING_PACKETS) return 'warning';
  return 'notice';
}

function milder(a: Severity, b: Severity): Severity {
  return SEVERITIES.indexOf(a) >= SEVERITIES.indexOf(b) ? a : b;
}

/** The worst of several; of none, `notice`. */
export function worst(severities: readonly Severity[]): Severity {
  return SEVERITIES.find((severity) => severities.includes(severity)) ?? 'notice';
}

type Ranked = Pick<ReportCause, 'id' | 'packets' | 'confidence' | 'severity'>;

/**
 * Causes of an alarm before notices, however many packets these are about. Then packets lost, then confidence,
 * then severity; the id makes the order stable.
 */
export function byImpact(a: Ranked, b: Ranked): number {
  return (
    Number(a.severity === 'notice') - Number(b.severity === 'notice') ||
    b.packets - a.packets ||
    CONFIDENCES.indexOf(a.confidence) - CONFIDENCES.indexOf(b.confidence) ||
    SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) ||
    a.id.localeCompare(b.id)
  );
}
