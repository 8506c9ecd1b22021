import type { CommandOutput } from '../model/host.ts';
import type { Reading } from '../model/reading.ts';
import { readBpfPrograms } from './bpf-programs.ts';
import { readRuleCounters } from './rule-counters.ts';
import { readTcxPrograms } from './tcx-programs.ts';
import type { Within } from './visits.ts';

/** What we do ourselves but is asked for, and recorded, like a program: it prints what it has read. */
const builtIns: Readonly<
  Record<string, ((within: Within) => Promise<Reading<CommandOutput>>) | undefined>
> = {
  'whydrop-bpf-programs': readBpfPrograms,
  'whydrop-rule-counters': readRuleCounters,
  'whydrop-tcx-programs': readTcxPrograms,
};

export function builtIn(name: string) {
  return builtIns[name];
}
