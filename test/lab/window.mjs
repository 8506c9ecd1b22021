// Diagnoses as the built program makes them for `whydrop report --json`, but their windows end when stdin does:
// as long as the traffic of a test needs, on a slow machine too.
import process from 'node:process';
import { measure, measureRequest } from '../../dist/src/cli/measure.js';
import { openHost } from '../../dist/src/cli/open-host.js';

const LONGEST = '90s';

const { netns, captures } = JSON.parse(process.argv[2]);
const end = new AbortController();
process.stdin.on('end', () => end.abort()).resume();

let closed = captures.length;
function opened() {
  closed -= 1;
  if (closed === 0) process.stderr.write('Watch drops\n');
}

async function diagnose(capture) {
  const host = await openHost(netns, capture);
  try {
    const request = measureRequest({ netns: netns ?? undefined, capture, duration: LONGEST });
    const { report } = await measure(host, request, {
      signal: end.signal,
      onProgress: ({ stage }) => stage === 'window' && opened(),
    });
    return report;
  } finally {
    await host.close();
  }
}

process.stdout.write(JSON.stringify(await Promise.all(captures.map(diagnose))));
