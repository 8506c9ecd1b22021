import { createReadStream } from 'node:fs';

import { exitCodeOf } from '../engine/verdict.ts';
import { NotText } from '../import/lines.ts';
import { readOutput, type ReadOutput } from '../import/read.ts';
import { importReport } from '../import/report.ts';
import { renderImportText } from '../render/import-text.ts';
import { renderJson } from '../render/json.ts';
import { deliver, fileLook, lookOf, wantsJson, type OutputFlags } from './output.ts';
import { UsageError } from './usage-error.ts';
import { version } from './version.ts';

const EXPECTED =
  'whydrop import reads what these print: dropwatch; perf script or trace_pipe of skb:kfree_skb; retis; netstat -i; ip -s link';

/** `whydrop import FILE|-`. @returns the exit code */
export async function runImport(
  [file = '-']: readonly string[],
  given: Record<string, unknown>,
): Promise<number> {
  const flags = given as unknown as OutputFlags;
  const output = await read(file);
  const { tally } = output;
  if (tally.kinds.length + tally.unresolved.length + tally.history.length === 0) {
    const what = output.lines === 0 ? 'it is empty' : `nothing known in ${output.lines} lines`;
    throw new UsageError(`${nameOf(file)}: ${what}. ${EXPECTED}.`);
  }
  const report = importReport(output, { file, version });
  const text = wantsJson(flags)
    ? renderJson(report)
    : await renderImportText(report, flags.output === undefined ? lookOf(flags) : fileLook(flags));
  await deliver(text, flags);
  return exitCodeOf(report.verdict, flags.failOn);
}

/** @throws UsageError */
async function read(file: string): Promise<ReadOutput> {
  if (file === '-' && process.stdin.isTTY) {
    process.stderr.write('Paste the output, then press Ctrl-D on a line of its own.\n');
  }
  try {
    return await readOutput(file === '-' ? process.stdin : createReadStream(file));
  } catch (error) {
    if (error instanceof NotText) {
      throw new UsageError(`${nameOf(file)}: not text. ${error.hint ?? `${EXPECTED}.`}`);
    }
    if (error instanceof Error && 'code' in error && 'syscall' in error) {
      throw new UsageError(`cannot read ${nameOf(file)}: ${error.message}`);
    }
    throw error;
  }
}

function nameOf(file: string): string {
  return file === '-' ? 'standard input' : file;
}
