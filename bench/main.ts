/** `npm run bench`: what whydrop costs, as ratios and against its goals. See README.md beside it. */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { cpus, release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { run } from '../test/lab/command.ts';
import { CleanUp } from '../test/lab/network.ts';
import { measureCapture } from './capture.ts';
import { holds, type Section } from './figure.ts';
import { measureHostSizes } from './host-size.ts';
import { renderJson, renderText } from './output.ts';
import { measureNamespaces } from './namespaces.ts';
import { measureReports } from './report-cost.ts';
import { measureStartup } from './startup.ts';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '7' },
    packets: { type: 'string', default: '500000' },
    senders: { type: 'string', default: '1' },
    program: {
      type: 'string',
      default: fileURLToPath(new URL('../dist/src/cli/main.js', import.meta.url)),
    },
  },
});
const rounds = Number(options.rounds);
const packets = Number(options.packets);
const senders = Number(options.senders);
const { program } = options;
const say = (text: string): void => {
  process.stderr.write(`bench: ${text}\n`);
};

const cleanUps: CleanUp[] = [];
const newCleanUp = (): CleanUp => {
  const cleanUp = new CleanUp();
  cleanUps.push(cleanUp);
  return cleanUp;
};
const cleanUpAll = async (): Promise<void> => {
  for (const cleanUp of cleanUps) await cleanUp.run();
};
const parts = {
  startup: () => measureStartup(program, Math.max(20, 4 * rounds)),
  report: () => measureReports({ program, rounds, windowSeconds: 2, say }, newCleanUp),
  'host-size': () =>
    measureHostSizes(
      // Rules are listed while the window passes, so it is the usual one.
      { program, rounds: Math.min(3, rounds), windowSeconds: 5, say },
      newCleanUp,
    ),
  capture: () => measureCapture(program, rounds, { packets, senders }, newCleanUp(), say),
  namespaces: () => measureNamespaces(program, rounds, newCleanUp(), say),
} as const satisfies Readonly<Record<string, () => Promise<Section>>>;

process.exitCode = await main();

async function main(): Promise<number> {
  const asked = positionals.length > 0 ? positionals : Object.keys(parts);
  const chosen = Object.entries(parts).filter(([name]) => asked.includes(name));
  if (chosen.length < asked.length || !(rounds > 0 && packets > 0 && senders > 0)) {
    say(`usage: npm run bench -- [${Object.keys(parts).join('] [')}] [--json] [--rounds 7]`);
    return 3;
  }
  if (process.getuid?.() !== 0) {
    say('needs root, to make network namespaces');
    return 3;
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(name, () => void cleanUpAfter(name));
  }
  await removeNamespaces((pid) => !existsSync(`/proc/${pid}`));
  const sections: Section[] = [];
  try {
    for (const [, measure] of chosen) sections.push(await measure());
  } finally {
    await cleanUpAll();
  }
  const machine = { kernel: release(), cpus: cpus().length, node: process.version };
  process.stdout.write(options.json ? renderJson(sections, machine) : renderText(sections));
  return sections.every(({ figures }) => figures.every((figure) => holds(figure) !== false))
    ? 0
    : 1;
}

/** The namespaces go now; the programs that were started, when we exit. */
async function cleanUpAfter(signal: NodeJS.Signals): Promise<void> {
  say(`${signal}: cleaning up`);
  await cleanUpAll().catch((error: unknown) => say(String(error)));
  // One may have been half made.
  await removeNamespaces((pid) => pid === String(process.pid));
  process.exit(signal === 'SIGINT' ? 130 : 143);
}

/** The names carry the id of the process that made them: of killed runs, the bench's or the lab's. */
async function removeNamespaces(madeBy: (pid: string) => boolean): Promise<void> {
  const names = existsSync('/run/netns') ? await readdir('/run/netns') : [];
  for (const name of names) {
    const pid = /^wd(\d+)(?:busy|[ab])\d+$/.exec(name)?.[1];
    if (pid !== undefined && madeBy(pid)) await run(`ip netns del ${name}`);
  }
}
