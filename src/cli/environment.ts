import { CHECKPOINTS, type Checkpoint } from '../fix/checkpoints.ts';
import { liveEnvironment, type FixEnvironment } from '../fix/environment.ts';
import type { PageOptions } from '../render/page.ts';
import { eventLines, layOut } from './fix-text.ts';

/** This machine, to be changed; what happens to it is told on stderr. @param look null: not told */
export function environmentOf(look: PageOptions | null): FixEnvironment {
  return liveEnvironment(
    process.env,
    (event) => {
      if (look !== null) process.stderr.write(layOut(eventLines(event), look));
    },
    crashForTest,
  );
}

/** The lab kills whydrop at each step to prove that the next start can put things right. */
function crashForTest(name: Checkpoint): void {
  const wanted = process.env['WHYDROP_TEST_CRASH_AT'];
  if (wanted === name && CHECKPOINTS.includes(name)) process.kill(process.pid, 'SIGKILL');
}
