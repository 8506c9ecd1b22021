#!/usr/bin/env node
import { setFlagsFromString } from 'node:v8';

import { version } from './version.ts';

// `--version` must not pay for loading anything.
if (process.argv.length === 3 && ['--version', '-V'].includes(process.argv[2] ?? '')) {
  process.stdout.write(`${version}\n`);
} else {
  // On a large host a report leaves 200 MB of garbage within seconds: V8 by default lets it grow to four times
  // what is in use before it looks. A node that is newer than we know may not have the flag, and complain.
  if (Number.parseInt(process.versions.node, 10) <= 24) {
    setFlagsFromString('--heap-growing-percent=20');
  }
  const { runProgram } = await import('./program.ts');
  process.exitCode = await runProgram(process.argv.slice(2));
}
