import type { FixEnvironment } from '../fix/environment.ts';
import { listFixes, undoFixes, type UndoResult } from '../fix/undo.ts';
import { environmentOf } from './environment.ts';
import { layOut, listedLines, plainLines, type Line } from './fix-text.ts';
import { lookOf, print } from './output.ts';
import { UsageError } from './usage-error.ts';

interface UndoFlags {
  force?: boolean;
  json?: boolean;
}

/** Exit code when an old value could not be put back. */
const NOT_RESTORED = 2;
/** Exit code when a part of the journal cannot be read. */
const UNKNOWN = 3;
const NOTHING_IN_PLACE = 'Nothing that whydrop changed here is still in place.';

/** `whydrop undo [ID]`. @returns the exit code: 0 listed or restored, 2 not all restored */
export async function runUndo([id]: readonly string[], flags: UndoFlags): Promise<number> {
  if (process.getuid?.() !== 0) {
    throw new UsageError('what was changed is noted where only root can read: sudo whydrop undo');
  }
  const environment = environmentOf(lookOf({}, process.stderr));
  return id === undefined ? list(environment, flags) : undo(environment, id, flags);
}

async function list(environment: FixEnvironment, { json }: UndoFlags): Promise<number> {
  const listing = await listFixes(environment);
  if (listing.status !== 'ok') throw new UsageError(listing.reason);
  const { fixes, damaged } = listing.value;
  const inPlace = fixes.filter(({ phase }) => phase !== 'restored');
  await print(
    json === true
      ? toJson({ fixes, damaged })
      : toText([
          ...inPlace.flatMap(listedLines),
          ...plainLines(
            ...damaged.map(({ file, reason }) => `Cannot be read: ${file}: ${reason}`),
            inPlace.length === 0
              ? NOTHING_IN_PLACE
              : 'Take one back with `whydrop undo ID`, all with `whydrop undo all`.',
          ),
        ]),
  );
  return damaged.length === 0 ? 0 : UNKNOWN;
}

async function undo(
  environment: FixEnvironment,
  id: string,
  { force, json }: UndoFlags,
): Promise<number> {
  const undone = await undoFixes(environment, id === 'all' ? null : id, force === true);
  if (undone.status !== 'ok') throw new UsageError(undone.reason);
  const results = undone.value;
  const lines = results.length === 0 ? [NOTHING_IN_PLACE] : results.map(resultLine);
  await print(json === true ? toJson({ results }) : toText(plainLines(...lines)));
  return results.every(({ complete }) => complete) ? 0 : NOT_RESTORED;
}

function toText(lines: readonly Line[]): string {
  return layOut(lines, lookOf({}));
}

function toJson(content: object): string {
  return `${JSON.stringify({ schema: 'whydrop.undo/1', ...content }, null, 2)}\n`;
}

function resultLine({ id, name, complete, undoFirst }: UndoResult): string {
  if (complete) return `${id}: ${name}: everything is as before`;
  const hint =
    undoFirst === undefined
      ? 'use --force to overwrite what others set'
      : `undo ${undoFirst} first`;
  return `${id}: ${name}: not all could be restored; ${hint}`;
}
