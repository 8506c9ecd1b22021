import type { Interruption } from './interrupt.ts';
import { measureRequest } from './measure.ts';
import { openHost } from './open-host.ts';
import { diagnoseWithProgress, type ReportFlags } from './report.ts';
import { UsageError } from './usage-error.ts';
import { version } from './version.ts';

/** `whydrop record -o FILE`. @returns the exit code */
export async function runRecord(
  given: Record<string, unknown>,
  { signal }: Interruption,
): Promise<number> {
  const flags = given as unknown as ReportFlags;
  if (flags.output === undefined) {
    throw new UsageError('record needs a file: whydrop record -o lost.whydrop.gz');
  }
  const { recordHost } = await import('../host/index.ts');
  const live = await openHost(flags.netns ?? null, flags.capture);
  try {
    const request = measureRequest(flags);
    const { seconds, interfaces, capture } = request;
    const options = { interfaces, capture };
    const host = recordHost(live, { version, startedAt: new Date(), seconds, options });
    const { report } = await diagnoseWithProgress(host, flags, signal);
    const saved = await host.save(flags.output);
    if (saved.status !== 'ok') throw new UsageError(saved.reason);
    process.stderr.write(
      `Recorded ${report.window.seconds} s to ${flags.output}. Diagnose it anywhere: whydrop report --from ${flags.output}\n`,
    );
    return 0;
  } finally {
    await live.close();
  }
}
