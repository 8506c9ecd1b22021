import type { FixStep } from '../model/fix.ts';
import type { ReportStep } from '../model/report.ts';
import { quoteArgv } from '../model/shell-quote.ts';

/** Adds the line an administrator would type, in the namespace where it has to be typed. */
export function withCommand(step: FixStep, netns: string | null): ReportStep {
  return { ...step, command: command(step, netns) };
}

function command(step: FixStep, netns: string | null): string {
  switch (step.kind) {
    case 'sysctl': {
      const argv = ['sysctl', '-w', `${step.key}=${step.to}`];
      return quoteArgv(step.hostWide ? argv : [...enter(netns), ...argv]);
    }
    case 'ethtool':
      return quoteArgv([...enter(netns), 'ethtool', '-G', step.interface, step.setting, step.to]);
    case 'command':
      return quoteArgv([...enter(netns), ...step.argv]);
    case 'manual':
      return '';
  }
}

/** `--netns` takes a name, a process id or a path; each is entered by another spelling. */
function enter(netns: string | null): readonly string[] {
  if (netns === null) return [];
  if (/^\d+$/.test(netns)) return ['nsenter', '-t', netns, '-n'];
  return netns.includes('/') ? ['nsenter', `--net=${netns}`] : ['ip', 'netns', 'exec', netns];
}
