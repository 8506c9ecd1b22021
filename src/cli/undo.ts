import { listFixes, undoFixes } from '../fix/undo.ts';
import { environmentOf } from './fix.ts';
import { listedLines, text } from './fix-text.ts';
import { print } from './output.ts';
import { UsageError } from './usage-error.ts';

/** Exit code when an old value could not be put back. */
const NOT_RESTORED = 2;

/** `whydrop undo [ID]`. @returns the exit code: 0 listed or restored, 2 not all restored */
export async function runUndo(
  [id]: readonly string[],
  flags: { force?: boolean; json?: boolean },
): Promise<number> {
  const environment = environmentOf((line) => process.stderr.write(line));
  if (id === undefined) {
    const listing = await listFixes(environment);
    if (listing.status !== 'ok') throw new UsageError(listing.reason);
    const { fixes, damaged } = listing.value;
    if (flags.json === true) {
      await print(`${JSON.stringify({ schema: 'whydrop.undo/1', fixes, damaged })}\n`);
      return 0;
    }
    const kept = fixes.filter(({ phase }) => phase !== 'restored');
    await print(
      text([
        ...kept.flatMap(listedLines),
        ...damaged.map(({ file, reason }) => `Cannot be read: ${file}: ${reason}`),
        kept.length === 0
          ? 'whydrop has changed nothing here that is still in place.'
          : 'Take one back with `whydrop undo ID`, all with `whydrop undo all`.',
      ]),
    );
    return 0;
  }
  const undone = await undoFixes(environment, id === 'all' ? null : id, flags.force === true);
  if (undone.status !== 'ok') throw new UsageError(undone.reason);
  const results = undone.value;
  if (flags.json === true)
    await print(`${JSON.stringify({ schema: 'whydrop.undo/1', results })}\n`);
  else await print(text(results.map(resultLine)));
  return results.every(({ complete }) => complete) ? 0 : NOT_RESTORED;
}

function resultLine({
  id,
  name,
  complete,
  undoFirst,
}: {
  id: string;
  name: string;
  complete: boolean;
  undoFirst?: string;
}): string {
  if (complete) return `${id}  ${name}: everything is as before`;
  const hint =
    undoFirst === undefined
      ? 'use --force to overwrite what others set'
      : `undo ${undoFirst} first`;
  return `${id}  ${name}: not all could be restored; ${hint}`;
}
