// A diagnosis as the built program makes it for `whydrop report --json`, but its window ends when stdin does:
// as long as the traffic of a test needs, on a slow machine too.
import process from 'node:process';
import { measure, measureRequest } from '../../dist/src/cli/measure.js';
import { openHost } from '../../dist/src/cli/open-host.js';

const LONGEST = '90s';

const { netns, capture } = JSON.parse(process.argv[2]);
const end = new AbortController();
process.stdin.on('end', () => end.abort()).resume();

const host = await openHost(netns, capture);
try {
  const request = measureRequest({ netns: netns ?? undefined, capture, duration: LONGEST });
  const { report } = await measure(host, request, {
    signal: end.signal,
    onProgress: ({ stage }) => stage === 'window' && process.stderr.write('Watch drops\n'),
  });
  process.stdout.write(JSON.stringify(report));
} finally {
  await host.close();
}
