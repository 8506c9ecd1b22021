// Records every fault and every healthy workload of the lab as fixtures, under all its captures: `npm run record-hosts`,
// as root, or `npm run record-hosts -- mpls ping` for those whose name contains a word. test/hosts/hosts.test.ts holds
// every rule against every recording. Read the differences in expected.json before committing them.
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Report } from '../../src/model/report.ts';
import { faults } from './faults.ts';
import { workloads } from './healthy.ts';
import { makePair, restoreAfterCrash, type Pair } from './network.ts';
import { whydrop, type Backend } from './whydrop.ts';

interface Subject {
  readonly name: string;
  /** Cause that must be the only one; null: none may be above notice. */
  readonly cause: string | null;
  /** tracefs must be silent. */
  readonly onlyBpf?: true;
  /** Absent: all. */
  readonly captures?: readonly Backend[];
  /** Longer than the traffic. */
  readonly duration: string;
  setUp?(pair: Pair): Promise<unknown>;
  traffic(pair: Pair): Promise<unknown>;
}

const subjects: readonly Subject[] = [
  ...faults.map((fault) => ({ ...fault, duration: '3s' })),
  ...workloads.map((workload) => ({
    ...workload,
    name: `healthy ${workload.name}`,
    cause: null,
    duration: '6s',
  })),
];
const BACKENDS: readonly Backend[] = ['bpf', 'tracefs'];
const folder = fileURLToPath(new URL('../hosts/', import.meta.url));
const list = `${folder}expected.json`;
/** Recorded by hand under other kernels: `linux-6.1-link-down.bpf.whydrop.gz`. */
const OTHER_KERNELS = 'linux-';
const words = process.argv.slice(2);

await restoreAfterCrash();
const known = Object.entries(JSON.parse(await readFile(list, 'utf8')) as Record<string, unknown>);
const expected = Object.fromEntries(
  known.filter(([file]) => words.length > 0 || file.startsWith(OTHER_KERNELS)),
);
for (const subject of subjects) {
  if (words.length > 0 && !words.some((word) => subject.name.includes(word))) continue;
  await record(subject);
  for (const backend of subject.captures ?? BACKENDS)
    expected[fileOf(subject, backend)] = await diagnosis(subject, backend);
  process.stdout.write(`${subject.name}\n`);
}
const sorted = Object.entries(expected).sort(([a], [b]) => (a < b ? -1 : 1));
await writeFile(list, `${JSON.stringify(Object.fromEntries(sorted), null, 2)}\n`);

/** Under all its captures at once: the same packets. */
async function record(subject: Subject): Promise<void> {
  const pair = await makePair();
  try {
    await subject.setUp?.(pair);
    const runs = (subject.captures ?? BACKENDS).map((backend) =>
      whydrop([
        'record',
        '--verbose',
        '--output',
        folder + fileOf(subject, backend),
        '--netns',
        pair.b,
        '--duration',
        subject.duration,
        '--capture',
        backend,
      ]),
    );
    await Promise.all(runs.map(({ watching }) => watching));
    await subject.traffic(pair);
    for (const { exitCode, stderr } of await Promise.all(runs.map(({ done }) => done))) {
      if (exitCode !== 0) throw new Error(`${subject.name}: ${stderr}`);
    }
  } finally {
    await pair.cleanUp.run();
  }
}

/** What all rules together make of the recording: the fixture's expectation. */
async function diagnosis(subject: Subject, backend: Backend): Promise<object> {
  const file = fileOf(subject, backend);
  const { stdout } = await whydrop(['report', '--json', '--from', folder + file]).done;
  const { verdict, causes } = JSON.parse(stdout) as Report;
  const cause = subject.onlyBpf === true && backend === 'tracefs' ? null : subject.cause;
  const ids = causes
    .filter(({ severity }) => subject.cause !== null || severity !== 'notice')
    .map(({ id }) => id);
  if (ids.join(' ') !== (cause ?? '')) {
    throw new Error(`${file}: found '${ids.join(' ')}', not '${cause ?? ''}'`);
  }
  return {
    verdict,
    causes: causes.map(({ id, severity, confidence, packets }) => ({
      id,
      severity,
      confidence,
      packets,
    })),
  };
}

function fileOf({ name }: Subject, backend: Backend): string {
  const slug = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replace(/-$/, '');
  return `${slug}.${backend}.whydrop.gz`;
}
