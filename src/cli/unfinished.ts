import type { Asker } from './ask.ts';
import { findUnfinished, resolveUnfinished, type UnfinishedFix } from '../fix/unfinished.ts';
import { environmentOf } from './environment.ts';
import { layOut, listedLines, plainLines, unfinishedLines } from './fix-text.ts';
import { lookOf, type LookFlags } from './output.ts';
import { UsageError } from './usage-error.ts';

/**
 * Says on stderr what a killed run left half-way. @returns whether there is something
 */
export async function warnOfUnfinished(flags: LookFlags): Promise<boolean> {
  const unfinished = await unfinishedFixes();
  process.stderr.write(layOut(unfinishedLines(unfinished), lookOf(flags, process.stderr)));
  return unfinished.length > 0;
}

/**
 * Offers to put right what a killed run left half-way. @returns whether nothing is left to be put right
 * @throws UsageError when that fails
 */
export async function settleUnfinished(ask: Asker, flags: LookFlags): Promise<boolean> {
  const look = lookOf(flags, process.stderr);
  const environment = environmentOf(look);
  let settled = true;
  for (const fix of await unfinishedFixes()) {
    const lines = plainLines('An earlier run was interrupted while it changed this:');
    process.stderr.write(layOut([...lines, ...listedLines(fix)], look));
    const choice = await ask.choose('What shall become of it?', [
      { name: 'Put the old values back', value: 'restore' as const },
      ...(fix.choices.includes('finish')
        ? [{ name: 'Keep the new values', value: 'finish' as const }]
        : []),
      { name: 'Decide later', value: undefined },
    ]);
    if (choice === undefined) {
      settled = false;
      continue;
    }
    const resolved = await resolveUnfinished(environment, fix.id, choice);
    if (resolved.status !== 'ok') throw new UsageError(resolved.reason);
    settled &&= resolved.value?.complete !== false;
  }
  return settled;
}

async function unfinishedFixes(): Promise<readonly UnfinishedFix[]> {
  // The journal is root's; others could neither read nor mend it.
  if (process.getuid?.() !== 0) return [];
  const unfinished = await findUnfinished(environmentOf(null));
  // Not ok: another whydrop is at work, or the journal is damaged, which fix and undo will say.
  return unfinished.status === 'ok' ? unfinished.value : [];
}
