import type { Diagnosis } from '../engine/diagnose.ts';
import { renderPcapng } from '../render/pcapng.ts';
import { printable } from '../render/printable.ts';
import { formatCount, formatCountOf } from '../render/wording.ts';
import { writeOutput, type OutputFlags } from './output.ts';

/**
 * Writes the packets of --pcap, for the owner's eyes only, and says so on stderr. Without a capture
 * that keeps packets there is no file: an empty one would say that nothing was dropped.
 *
 * @throws UsageError when the file cannot be written
 */
export async function savePackets(
  path: string,
  { report, drops }: Diagnosis,
  { quiet }: Pick<OutputFlags, 'quiet'>,
): Promise<void> {
  const { backend, unavailable } = report.capture;
  if (backend !== 'bpf') {
    const seen = backend === 'none' ? 'not watched' : `watched through ${backend}`;
    const reasons = unavailable.map(({ reason }) => reason).join('; ');
    process.stderr.write(
      `whydrop: ${path} is not written: only --capture bpf keeps packets, and drops were ${seen}` +
        `${reasons === '' ? '' : ` (${printable(reasons)})`}\n`,
    );
    return;
  }
  const { bytes, packets, dropped } = renderPcapng(report, drops);
  await writeOutput(path, bytes, { what: 'the packets', mode: 0o600 });
  if (quiet !== true) {
    process.stderr.write(
      `Wrote ${formatCount(packets)} of ${formatCountOf(dropped, 'dropped packet')} to ${path}. It holds user data.\n`,
    );
  }
}
