import { CHECKPOINTS, type Checkpoint } from '../fix/checkpoints.ts';
import { liveEnvironment, type FixEnvironment } from '../fix/environment.ts';
import { eventText } from './fix-text.ts';

/** This machine, to be changed; what happens to it goes to `write`. */
export function environmentOf(write: (text: string) => void): FixEnvironment {
  return liveEnvironment(process.env, (event) => write(eventText(event)), crashForTest);
}

/** The lab kills whydrop at each step to prove that the next start can put things right. */
function crashForTest(name: Checkpoint): void {
  const wanted = process.env['WHYDROP_TEST_CRASH_AT'];
  if (wanted === name && CHECKPOINTS.includes(name)) process.kill(process.pid, 'SIGKILL');
}
