import process from 'node:process';

import { resolveUnfinished } from '../../../src/fix/unfinished.ts';
import { undoFixes } from '../../../src/fix/undo.ts';
import { applyScenario } from './crash-scenario.ts';
import { sandboxEnvironment } from './sandbox.ts';

/** Runs a part of the scenario in a sandbox and kills itself at the nth passage of a checkpoint. */
const [directory = '', part, checkpoint, passage = '1'] = process.argv.slice(2);
let left = Number(passage);
const environment = sandboxEnvironment(
  directory,
  () => {},
  (name) => {
    if (name !== checkpoint) return;
    left -= 1;
    if (left === 0) process.kill(process.pid, 'SIGKILL');
  },
);

if (part === 'undo') await undoFixes(environment, null);
else if (part === 'restore') await resolveUnfinished(environment, '20261121-230000.1', 'restore');
else await applyScenario(environment, part === 'helps');
