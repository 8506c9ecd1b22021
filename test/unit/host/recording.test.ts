import {
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';

import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { openReplay, recordHost, type ReplayHost } from '../../../src/host/index.ts';
import { JsonBudget } from '../../../src/host/json-budget.ts';
import type { DropCapture } from '../../../src/model/drops.ts';
import type { Host, RunningCapture } from '../../../src/model/host.ts';
import { ok, unread, type Reading } from '../../../src/model/reading.ts';

const directory = mkdtempSync(join(tmpdir(), 'whydrop-recording-'));
const plain = join(directory, 'small.whydrop');
const compressed = join(directory, 'small.whydrop.gz');

afterAll(() => {
  rmSync(directory, { recursive: true });
});

const capture: DropCapture = {
  backend: 'tracefs',
  events: 3,
  lost: 1,
  hasReasons: true,
  drops: [
    { reason: 'NO_SOCKET', location: 'f', protocol: 2048, packets: 2, edgePackets: 0 },
    { reason: null, location: '0xff', module: 'm', protocol: 0, packets: 1, edgePackets: 1 },
  ],
  unselected: 4,
  unavailable: [{ backend: 'bpf', reason: 'no libbpf' }],
  companions: {
    fullSockets: {
      rows: [
        {
          netns: 4_026_532_000,
          limit: 'memory',
          protocol: 'udp',
          local: null,
          socket: null,
          packets: 3,
          rcvbufBytes: 1,
          queuedBytesMax: 2,
        },
      ],
      rest: [{ netns: null, packets: 4 }],
    },
    retransmits: {
      rows: [
        {
          netns: null,
          local: '10.0.0.1',
          localPort: null,
          remote: null,
          remotePort: 443,
          packets: 7,
          handshakePackets: 1,
        },
      ],
      rest: [],
    },
    synAckRetransmits: { rows: [], rest: [] },
    resetsSent: null,
    resetsReceived: null,
    badChecksums: null,
    missed: 1,
  },
};

/** A machine whose every answer differs from the one before, and says for which view it is. */
function countingHost(options: { foreign: boolean; canCapture: boolean }): Host {
  let answers = 0;
  let clock = 1000;
  const view = (name: string) => {
    const next = (what: string): Reading<string> => {
      answers += 1;
      return what.endsWith('none')
        ? unread('denied', `${what} ${answers}`)
        : ok(`${name} ${answers}`);
    };
    return {
      readFile: async (path: string) => next(path),
      readFiles: async (paths: readonly string[]) => paths.map(next),
      list: async (path: string) => ok([`${name} ${path} ${(answers += 1)}`, '\u0000\u001b[31m"']),
      run: async (argv: readonly string[]) =>
        ok({ stdout: `${name} ${argv.join('|')}`, stderr: '\ud800', exitCode: (answers += 1) }, [
          'x',
        ]),
    };
  };
  const running: RunningCapture = {
    mark: () => undefined,
    stop: async () => ok(capture, ['note']),
  };
  const namespace = view('namespace');
  const host: Host = {
    ...namespace,
    initial: namespace,
    facts: {
      hostname: 'box',
      kernel: '6.18.0',
      distribution: 'Debian',
      recorded: false,
      netns: options.foreign ? 'b' : null,
      netnsCount: null,
      netnsInode: 4026531840,
      cpuCount: 2,
      root: true,
    },
    beginPhase: () => undefined,
    wait: async (ms) => {
      clock += ms + 7.25;
    },
    now: () => clock,
    kernelLog: async () => ok([`line ${(answers += 1)}`]),
    startCapture: async () =>
      options.canCapture
        ? ok(running, ['started'])
        : { ...unread('denied', 'needs root'), tried: [{ way: 'bpf', reason: 'no libbpf' }] },
    close: async () => undefined,
  };
  return { ...host, ...(options.foreign && { initial: view('initial') }) };
}

/** Reads as the engine does: a capture around two phases with a window between. */
async function session(host: Host): Promise<unknown[]> {
  const seen: unknown[] = [host.facts.hostname];
  host.beginPhase('first');
  const running = await host.startCapture({ backend: 'auto' });
  seen.push(running.status === 'ok' ? running.notes : running);
  for (const phase of ['first', 'sample-1', 'last'] as const) {
    host.beginPhase(phase);
    seen.push(await host.readFile('/a'), await host.readFile('/none'));
    // Again, in a group, and one of them twice.
    seen.push(await host.readFiles(['/b', '/a', '/b', '/none']));
    seen.push(await host.list('/d'), await host.run(['ip', 'link']), await host.run(['ip link']));
    seen.push(await host.initial.readFile('/a'), await host.initial.run(['ip', 'link']));
    seen.push(await host.kernelLog());
    const from = host.now();
    if (phase !== 'last') await host.wait(1000);
    seen.push(host.now() - from);
  }
  seen.push(running.status === 'ok' ? await running.value.stop() : running);
  return seen;
}

async function record(path: string, host = countingHost({ foreign: true, canCapture: true })) {
  const recorder = recordHost(host, {
    version: '0.1.0',
    startedAt: new Date('2026-11-21T23:00:00Z'),
    seconds: 2,
    options: { interfaces: ['eth0'], capture: 'auto' },
  });
  const seen = await session(recorder);
  expect(await recorder.save(path)).toEqual({
    status: 'ok',
    value: { bytes: statSync(path).size },
  });
  return seen;
}

async function replay(path: string): Promise<ReplayHost> {
  const host = await openReplay(path);
  if (host.status !== 'ok') throw new Error(host.reason);
  return host.value;
}

let live: unknown[];

beforeAll(async () => {
  live = await record(plain);
  await record(compressed);
});

test.each([plain, compressed])('a replay of %s answers as the machine did', async (path) => {
  const opened = await openReplay(path);
  expect(opened).not.toHaveProperty('notes');
  const host = await replay(path);
  expect(await session(host)).toEqual(live);
  expect(host.facts).toMatchObject({ netns: 'b', recorded: true });
  expect(host.header).toMatchObject({
    startedAt: '2026-11-21T23:00:00.000Z',
    seconds: 2,
    options: { interfaces: ['eth0'], capture: 'auto' },
  });
});

test.each([
  { foreign: false, canCapture: true },
  { foreign: true, canCapture: false },
])('so it does for a machine that is %j', async (kind) => {
  const path = join(directory, `kind-${kind.foreign}`);
  const seen = await record(path, countingHost(kind));
  expect(await session(await replay(path))).toEqual(seen);
});

test('a host that is its own initial view stays so', async () => {
  const path = join(directory, 'own');
  const host: Host = countingHost({ foreign: false, canCapture: false });
  const recorder = recordHost(Object.assign(host, { initial: host }), {
    version: '0.1.0',
    startedAt: new Date(),
    seconds: 0,
  });
  expect(recorder.initial).toBe(recorder);
  const reading = await recorder.initial.readFile('/a');
  await recorder.save(path);
  const again = await replay(path);
  expect(again.initial).toBe(again);
  expect(await again.readFile('/a')).toEqual(reading);
});

test('what was not recorded is absent: file, phase, view, command', async () => {
  const host = await replay(plain);
  expect(await host.readFile('/a')).toEqual({
    status: 'absent',
    reason: '/a: not in the recording',
  });
  host.beginPhase('first');
  expect((await host.readFile('/a')).status).toBe('ok');
  const missing = [
    await host.readFile('/etc/passwd'),
    await host.initial.readFile('/b'),
    await host.list('/a'),
    await host.run(['ip', 'link', 'show']),
  ];
  expect(missing.map(({ status }) => status)).toEqual(Array(4).fill('absent'));
});

test('work that goes on into the next phase stays in the one where it began', async () => {
  const goOn = async (host: Host): Promise<unknown> => {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    return host.run(['late']);
  };
  const work = async (host: Host): Promise<unknown> => {
    host.beginPhase('first');
    const late = goOn(host);
    host.beginPhase('last');
    return [await host.run(['late']), await late];
  };
  const path = join(directory, 'late');
  const recorder = recordHost(countingHost({ foreign: false, canCapture: false }), {
    version: '0.1.0',
    startedAt: new Date(),
    seconds: 1,
  });
  const seen = await work(recorder);
  await recorder.save(path);
  expect(readFileSync(path, 'utf8')).toMatch(/"phase":"first".*"late"/);
  expect(await work(await replay(path))).toEqual(seen);
});

test('asked once more than recorded, the last answer stands', async () => {
  const host = await replay(plain);
  host.beginPhase('first');
  const answers = [];
  for (let count = 0; count < 4; count += 1) answers.push(await host.list('/d'));
  expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
});

test('the window is the recorded one, whatever wait is asked for', async () => {
  const host = await replay(plain);
  const opened = host.now();
  await host.wait(60_000);
  expect(host.now() - opened).toBe(1007.25);
});

test('the file is private, compressed by its name, and nothing else is left', () => {
  expect(statSync(plain).mode & 0o777).toBe(0o600);
  expect(gunzipSync(readFileSync(compressed)).equals(readFileSync(plain))).toBe(true);
  expect(readdirSync(directory).filter((name) => name.startsWith('.'))).toEqual([]);
});

test('a recording cannot be saved onto a device, into a directory, or nowhere', async () => {
  const recorder = recordHost(countingHost({ foreign: false, canCapture: false }), {
    version: '0.1.0',
    startedAt: new Date(),
    seconds: 0,
  });
  symlinkSync('/dev/null', join(directory, 'device'));
  for (const path of ['/dev/null', join(directory, 'device'), directory]) {
    expect(await recorder.save(path)).toEqual({
      status: 'malformed',
      reason: `${path} is not a plain file: the recording is not saved`,
    });
  }
  const nowhere = join(directory, 'none', 'x');
  expect(await recorder.save(nowhere)).toEqual({
    status: 'denied',
    reason: `${nowhere} cannot be written: there is no such directory`,
  });
  expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
});

test('a save that fails half-way leaves the old file and no new one', async () => {
  const path = join(directory, 'kept.gz');
  writeFileSync(path, 'old');
  const recorder = recordHost(countingHost({ foreign: false, canCapture: false }), {
    version: '0.1.0',
    startedAt: new Date(),
    seconds: 0,
    // JSON cannot hold it: fails after the file was opened.
    options: { big: 1n as unknown as number },
  });
  expect((await recorder.save(path)).status).toBe('denied');
  expect(readFileSync(path, 'utf8')).toBe('old');
  expect(readdirSync(directory).filter((name) => name.startsWith('.'))).toEqual([]);
});

test.each([plain, compressed])(
  '%s cut off is read as far as it goes, with a note',
  async (whole) => {
    const path = join(directory, 'cut');
    writeFileSync(path, readFileSync(whole));
    // Compressed, the last bytes are a checksum; the end of the text is somewhat before.
    truncateSync(path, statSync(path).size - 60);
    const host = await openReplay(path);
    expect(host).toMatchObject({
      status: 'ok',
      notes: [`${path} is cut off: the readings at its end are missing`],
    });
    if (host.status !== 'ok') return;
    host.value.beginPhase('first');
    expect((await host.value.readFile('/a')).status).toBe('ok');
  },
);

test('a last line without its line break is whole', async () => {
  const path = join(directory, 'no-newline');
  writeFileSync(path, readFileSync(plain, 'utf8').trimEnd());
  expect(await openReplay(path)).not.toHaveProperty('notes');
});

const text = (): string => readFileSync(plain, 'utf8');
const header = (): string => text().split('\n')[0] ?? '';

test.each<[string, () => string | Buffer, RegExp]>([
  ['empty', () => '', /the file is empty/],
  ['other text', () => 'eth0: up\n', /not a recording of whydrop/],
  ['other JSON', () => '[1,2]\n', /not a recording of whydrop/],
  ['null', () => 'null\n', /not a recording of whydrop/],
  [
    'a later version',
    () => header().replace('recording/1', 'recording/2'),
    /version 2.*reads version 1/,
  ],
  [
    'a hostile version',
    () => header().replace('recording/1', 'recording/\u001b[2J'),
    /^[ -~]*not a recording of whydrop$/,
  ],
  ['a header without facts', () => '{"format":"whydrop.recording/1"}\n', /not the header/],
  ['a garbled line', () => text().replace('"op":"list"', '"op":"rm"'), /line \d+ is not part/],
  [
    'a value of another type',
    () => text().replace('"value":"namespace', '"value":7,"x":"'),
    /line \d+ is not part/,
  ],
  ['broken JSON in the middle', () => text().replace('{"phase"', '{phase"'), /line 2 is not part/],
  ['two recordings in one', () => text() + text(), /line \d+ is not part/],
  [
    'damaged compression',
    () => Buffer.concat([gzipSync(text()).subarray(0, 40), Buffer.alloc(200, 7)]),
    /damaged/,
  ],
  ['deep nesting', () => `${header()}\n${'['.repeat(100_000)}\n`, /more values/],
  [
    'very many values',
    () => gzipSync(`${header()}\n[${'0,'.repeat(10_000_001)}0]\n`),
    /more values/,
  ],
])('refused: %s', async (_, content, reason) => {
  const path = join(directory, 'refused');
  writeFileSync(path, content());
  const opened = await openReplay(path);
  expect(opened.status).toBe('malformed');
  expect(opened).toHaveProperty('reason', expect.stringMatching(reason));
});

test('a small file that grows beyond the limits is refused', { timeout: 30_000 }, async () => {
  const path = join(directory, 'bomb');
  const refusal = async (member: Buffer): Promise<unknown> => {
    const members = Array<Buffer>(33).fill(member);
    writeFileSync(path, Buffer.concat([gzipSync(`${header()}\n`), ...members]));
    return openReplay(path);
  };
  const padding = 'x'.repeat(16 * 1024 * 1024);
  expect(await refusal(gzipSync(padding))).toEqual({
    status: 'malformed',
    reason: `${path}: a line is longer than 256 MiB`,
  });
  expect(await refusal(gzipSync(`{"op":"wait","from":0,"to":0,"x":"${padding}"}\n`))).toEqual({
    status: 'malformed',
    reason: `${path}: larger than 512 MiB`,
  });
});

test('what looks like nesting within a string is text', () => {
  const budget = new JsonBudget();
  const brackets = '['.repeat(1000);
  for (const value of [brackets, `"${brackets}`, `\\${brackets}`, `\\"${brackets}\\`]) {
    expect(budget.allows(Buffer.from(JSON.stringify({ [value]: value })))).toBe(true);
  }
  expect(budget.allows(Buffer.from(`["a\\\\",${brackets}`))).toBe(false);
  expect(budget.allows(Buffer.from(`["a\\\\\\",${brackets}`))).toBe(true);
});

test('a file that is not there, or a directory', async () => {
  expect((await openReplay(join(directory, 'nothing'))).status).toBe('absent');
  expect((await openReplay(directory)).status).toBe('malformed');
});

test('random bytes and mutated recordings never throw', async () => {
  const path = join(directory, 'fuzzed');
  const originals = [readFileSync(plain), readFileSync(compressed)];
  const mutated = fc
    .record({
      original: fc.constantFrom(...originals),
      edits: fc.array(fc.tuple(fc.nat(), fc.uint8Array({ maxLength: 8 })), { maxLength: 5 }),
      cut: fc.option(fc.nat()),
    })
    .map(({ original, edits, cut }) => {
      const bytes = Buffer.from(original);
      for (const [at, edit] of edits)
        bytes.set(edit.subarray(0, bytes.length - (at % bytes.length)), at % bytes.length);
      return cut === null ? bytes : bytes.subarray(0, cut % bytes.length);
    });
  const garbage = fc.uint8Array({ maxLength: 500 }).map((bytes) => Buffer.from(bytes));
  const afterHeader = garbage.map((bytes) => Buffer.concat([Buffer.from(`${header()}\n`), bytes]));
  await fc.assert(
    fc.asyncProperty(fc.oneof(mutated, garbage, afterHeader), async (bytes) => {
      writeFileSync(path, bytes);
      const opened = await openReplay(path);
      const seen = opened.status === 'ok' ? await session(opened.value) : opened.reason;
      expect(seen).not.toHaveLength(0);
    }),
    { numRuns: 300 },
  );
});
