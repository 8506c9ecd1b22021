import type { ImportFormat } from '../model/import-report.ts';
import { DropwatchParser } from './dropwatch.ts';
import { IpLinkParser, NetstatParser } from './interface-counters.ts';
import { KfreeSkbParser } from './kfree-skb.ts';
import type { LineParser } from './line-parser.ts';
import { readLines } from './lines.ts';
import { RetisParser } from './retis.ts';
import { Tally } from './tally.ts';

export interface ReadOutput {
  readonly tally: Tally;
  readonly formats: readonly ImportFormat[];
  readonly lines: number;
  /** Lines that belong to the output of a tool we know. */
  readonly understood: number;
}

/**
 * Finds the output of all tools we know in a text, which may hold several of them with prompts and prose
 * between. Memory is bounded whatever the size.
 *
 * @throws NotText
 */
export async function readOutput(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<ReadOutput> {
  const tally = new Tally();
  const parsers: readonly LineParser[] = [
    new KfreeSkbParser(tally, 'perf script'),
    new KfreeSkbParser(tally, 'trace_pipe'),
    new RetisParser(tally),
    new DropwatchParser(tally),
    new NetstatParser(tally),
    new IpLinkParser(tally),
  ];
  let current: LineParser | undefined;
  const formats = new Set<ImportFormat>();
  let [lines, understood] = [0, 0];
  for await (const line of readLines(chunks)) {
    lines += 1;
    if (current?.take(line) !== true) {
      current?.end();
      current = parsers.find((parser) => parser.take(line));
    }
    if (current === undefined) continue;
    understood += 1;
    formats.add(current.format);
  }
  current?.end();
  return { tally, formats: [...formats], lines, understood };
}
