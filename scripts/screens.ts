// Writes docs/screens: report.txt and session.txt, what a terminal shows of a real fault (a strict
// reverse-path filter) in the lab, and self.txt, a self-check. Needs root and a built program: npm run build && npx tsx scripts/screens.ts
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keys, Terminal } from '../test/e2e/terminal.ts';
import { strictReversePath } from '../test/lab/faults/reverse-path.ts';
import { makePair } from '../test/lab/network.ts';
import { trafficUntil } from '../test/lab/traffic.ts';

/** In a mount namespace of its own: the receiver is called `web`, and no other has a name. */
const NAMED_WEB = [
  'exec 9< "$1"; shift; mount -t tmpfs tmpfs /run/netns && touch /run/netns/web',
  'mount --bind /proc/self/fd/9 /run/netns/web && exec "$@" 9<&-',
].join(' && ');
const NEXT = /What next\?/;

const pair = await makePair();
const state = await mkdtemp(join(tmpdir(), 'whydrop-screens-'));
try {
  await strictReversePath.setUp(pair);
  const prefix = ['unshare', '--mount', 'sh', '-c', NAMED_WEB, 'sh', `/run/netns/${pair.b}`];
  const options = { prefix, columns: 100, rows: 50, env: { WHYDROP_STATE_DIR: state } };

  const report = new Terminal(['report', '--netns', 'web'], options);
  await trafficUntil(report.ended, () => strictReversePath.traffic(pair));
  await save('report.txt', 'whydrop report --netns web', report);

  const self = new Terminal(['self-check'], { ...options, env: {} });
  await self.ended;
  await save('self.txt', 'whydrop self-check', self);

  const session = new Terminal([], options);
  const talked = talk(session).finally(() => {
    session.close();
  });
  // Settled, not thrown: the traffic has to end before the clean-up begins.
  const [outcome] = await trafficUntil(Promise.allSettled([talked]), () =>
    strictReversePath.traffic(pair),
  );
  if (outcome.status === 'rejected') throw outcome.reason;
  await save('session.txt', 'whydrop', session);
} finally {
  await pair.cleanUp.run();
  await rm(state, { recursive: true });
}

async function talk(terminal: Terminal): Promise<void> {
  await terminal.choose(/What do you see\?/, 'tcpdump shows the packets');
  await terminal.choose(/which network namespace\?/, 'web');
  await terminal.choose(/which interface\?/, 'all of them');
  await terminal.choose(/How long/, '5 seconds');
  await terminal.choose(NEXT, 'Fix it');
  await terminal.waitFor(/\? Apply/);
  terminal.type(`y${keys.enter}`);
  await terminal.waitFor(/Cured/);
  await terminal.choose(NEXT, 'Quit');
  await terminal.ended;
}

async function save(name: string, command: string, terminal: Terminal): Promise<void> {
  const directory = new URL('../docs/screens/', import.meta.url);
  await mkdir(directory, { recursive: true });
  const lines = terminal.transcript().split('\n');
  const text = [`# ${command}`, ...lines.map((line) => line.trimEnd())].join('\n');
  await writeFile(new URL(name, directory), `${text}\n`);
}
