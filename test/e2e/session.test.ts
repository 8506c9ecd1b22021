import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { strictReversePath } from '../lab/faults/reverse-path.ts';
import { allSettings, inside, makePair, type Pair } from '../lab/network.ts';
import { labMissing } from '../lab/requirements.ts';
import { trafficUntil } from '../lab/traffic.ts';
import type { Report } from '../../src/model/report.ts';
import { descendants } from './processes.ts';
import { isRoot, whydrop } from './program.ts';
import { keys, Terminal, type TerminalOptions } from './terminal.ts';

const missing = await labMissing();

const SYMPTOM = /What do you see\?/;
const NEXT = /What next\?/;
const escape = '\x1b[';

function open(args: readonly string[], options: TerminalOptions = {}): Terminal {
  const terminal = new Terminal(args, options);
  onTestFinished(() => {
    terminal.close();
  });
  return terminal;
}

async function temporary(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'whydrop-e2e-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  return directory;
}

describe.skipIf(missing !== null)(`in the lab${missing === null ? '' : ` (${missing})`}`, () => {
  /** A receiver whose strict reverse-path filter drops what the sender sends until `done`. */
  async function faultyPair(): Promise<{ pair: Pair; until: (done: Promise<unknown>) => void }> {
    const pair = await makePair();
    const ends: Promise<unknown>[] = [];
    onTestFinished(async () => {
      await Promise.all(ends);
      await pair.cleanUp.run();
    });
    await strictReversePath.setUp(pair);
    return {
      pair,
      until: (done) => ends.push(trafficUntil(done, () => strictReversePath.traffic(pair))),
    };
  }

  test('symptom, place, measure, evidence, explanation, fix, measure again, quit', async () => {
    const { pair, until } = await faultyPair();
    const env = { WHYDROP_STATE_DIR: await temporary() };
    const settings = await allSettings(pair.b);
    const terminal = open([], { env });
    until(terminal.ended);

    await terminal.choose(SYMPTOM, 'tcpdump shows the packets');
    await terminal.choose(/which network namespace\?/, pair.b);
    await terminal.choose(/which interface\?/, 'all of them');
    await terminal.choose(/Keep them coming\. How long/, '5 seconds');
    await terminal.waitFor(/Watch drops as they happen\n.* s left/);
    await terminal.waitFor(NEXT);
    expect(terminal.transcript()).toMatch(/CRITICAL: [\d,]+ packets lost in 5\.\d s/);
    expect(terminal.transcript()).toMatch(/^1\. The reverse-path filter drops packets/m);

    await terminal.choose(NEXT, 'Why this cause');
    await terminal.waitFor(/Not +- /);
    await terminal.choose(NEXT, 'What it means');
    await terminal.waitFor(/## References/);

    await terminal.choose(NEXT, 'Fix it');
    await terminal.waitFor(/Change +net\.ipv4\.conf\.vb\.rp_filter: 1 → 2/);
    await terminal.waitFor(/\? Apply ip-rpfilter\/.*\(y\/N\)/);
    terminal.type(keys.enter);
    await terminal.waitFor(/Left alone: ip-rpfilter/);
    expect(await allSettings(pair.b), 'Enter alone is No').toBe(settings);

    await terminal.choose(NEXT, 'Fix it');
    await terminal.waitFor(/\? Apply ip-rpfilter\/.*\(y\/N\)/);
    terminal.type(`y${keys.enter}`);
    await terminal.waitFor(/Cured: ip-rpfilter/);
    await terminal.waitFor(/Take it back with: whydrop undo \d{8}-\d{6}\.1/);

    await terminal.choose(NEXT, 'Measure again');
    await terminal.waitFor(/No packet loss found in 5\.\d s[^?]*What next\?/);
    await terminal.choose(NEXT, 'Quit');
    expect(await terminal.ended).toBe(0);
    expect(terminal.screen()).toMatch(
      new RegExp(`same without questions:\\n +whydrop report --netns ${pair.b} --duration 5s`),
    );

    const undone = await whydrop(['undo', 'all'], { env });
    expect(undone.exitCode, undone.stderr).toBe(0);
    expect(await allSettings(pair.b)).toBe(settings);
  });

  test('fix asks, and Ctrl-C at the question changes nothing', async () => {
    const { pair, until } = await faultyPair();
    const settings = await allSettings(pair.b);
    const terminal = open(['fix', '-n', pair.b, '-d', '2s'], {
      env: { WHYDROP_STATE_DIR: await temporary() },
    });
    until(terminal.ended);
    await terminal.waitFor(/\? Apply ip-rpfilter\/.*\(y\/N\)/);
    terminal.type(keys.ctrlC);
    expect(await terminal.ended).toBe(130);
    expect(await allSettings(pair.b)).toBe(settings);
  });

  test('what a killed fix left is offered first, and put back', async () => {
    const { pair, until } = await faultyPair();
    const state = await temporary();
    const settings = await allSettings(pair.b);
    const args = ['fix', '--yes', '-n', pair.b, '-d', '2s', '--only', 'ip-rpfilter'];
    const killed = whydrop(args, {
      env: { WHYDROP_STATE_DIR: state, WHYDROP_TEST_CRASH_AT: 'written' },
    });
    until(killed.catch(() => {}));
    await expect(killed).rejects.toThrow('SIGKILL');
    expect(await inside(pair.b, 'sysctl -n net.ipv4.conf.vb.rp_filter')).toBe('2');

    const terminal = open([], { env: { WHYDROP_STATE_DIR: state } });
    await terminal.waitFor(/interrupted while it changed this:[^]*rp_filter: 1 → 2, now 2/);
    await terminal.choose(/What shall become of it\?/, 'Put the old values back');
    await terminal.waitFor(/Restored net\.ipv4\.conf\.vb\.rp_filter = 1/);
    await terminal.waitFor(SYMPTOM);
    expect(await allSettings(pair.b)).toBe(settings);
    terminal.type(keys.ctrlC);
    expect(await terminal.ended).toBe(130);
  });
});

describe('the end of a session', () => {
  test.each([
    ['Ctrl-C', keys.ctrlC],
    ['Ctrl-D', keys.ctrlD],
  ])('%s at a question ends it with 130', async (_, key) => {
    const terminal = open([]);
    await terminal.waitFor(SYMPTOM);
    terminal.type(key);
    expect(await terminal.ended).toBe(130);
    expect(terminal.transcript()).not.toMatch(/fault of whydrop|^ +at /m);
    expect(
      terminal.raw().lastIndexOf(`${escape}?25h`),
      'the cursor is shown again',
    ).toBeGreaterThan(terminal.raw().lastIndexOf(`${escape}?25l`));
  });

  test('SIGTERM at a question ends it with 143', async () => {
    const terminal = open([]);
    await terminal.waitFor(SYMPTOM);
    for (const pid of await descendants(terminal.pid)) process.kill(pid, 'SIGTERM');
    expect(await terminal.ended).toBe(143);
  });

  test('Ctrl-C while it watches ends it with 130', async () => {
    const terminal = open(['report', '-d', '30s']);
    await terminal.waitFor(/Watch drops/);
    terminal.type(keys.ctrlC);
    expect(await terminal.ended).toBe(130);
  });
});

describe('a terminal is no reason to ask', () => {
  test.each([['--no-input'], ['--json'], ['-q'], ['report']])('%s is a report', async (...args) => {
    const terminal = open([...args, '-d', '0', '--fail-on', 'never']);
    expect(await terminal.ended).toBe(0);
    expect(terminal.transcript()).toMatch(/duration 0|"verdict":/);
    expect(terminal.transcript()).not.toMatch(SYMPTOM);
  });

  test('WHYDROP_NO_INPUT=1', async () => {
    const terminal = open(['-d', '0'], { env: { WHYDROP_NO_INPUT: '1' } });
    await terminal.ended;
    expect(terminal.transcript()).not.toMatch(SYMPTOM);
  });

  test('> file: the report is in the file, the progress on the terminal', async () => {
    const file = join(await temporary(), 'report.json');
    const terminal = open(['--json', '-d', '1s'], { suffix: `> ${file}` });
    await terminal.waitFor(/Watch drops as they happen/);
    await terminal.ended;
    expect((JSON.parse(await readFile(file, 'utf8')) as Report).schema).toBe('whydrop.report/1');
    expect(terminal.transcript(), 'the progress goes when it is done').toBe('');
  });
});

describe('terminals and readers that need less', () => {
  test.each([{ ACCESSIBLE: '1' }, { TERM: 'dumb' }])('%o: numbers to type', async (env) => {
    const terminal = open(['-d', '0', '-i', 'lo', ...(isRoot ? ['-n', String(process.pid)] : [])], {
      env,
    });
    await terminal.waitFor(/2 {2}A program misses UDP[^]*\nNumber, 1 to 6 \[1\]:/);
    terminal.type('7\n');
    await terminal.waitFor(/\[1\]: 7\nNumber/);
    terminal.type('x\n');
    await terminal.waitFor(/\[1\]: x\nNumber/);
    terminal.type('2\n');
    await terminal.waitFor(/duration 0\)[^]*What next\?\n {2}1 {2}Measure again\n[^]*\nNumber/);
    terminal.type(keys.ctrlC);
    expect(await terminal.ended).toBe(130);
    expect(terminal.raw()).not.toContain('\x1b');
  });

  test('NO_COLOR', async () => {
    const terminal = open(['-d', '0'], { env: { NO_COLOR: '1' } });
    await terminal.waitFor(SYMPTOM);
    terminal.type(keys.ctrlC);
    await terminal.ended;
    // SGR sequences that set a colour; bold and the like may stay.
    expect(terminal.raw()).not.toMatch(/\x1b\[[0-9;]*3[0-7]m/);
  });

  test.each([50, 80, 120])('a report on %i columns', async (columns) => {
    const terminal = open(['report', '-d', '0'], { columns });
    await terminal.ended;
    const lines = terminal
      .raw()
      .replaceAll(/\x1b\[[0-9;?]*[a-zA-Z]/g, '')
      .split('\r\n');
    const box = lines.filter((line) => line.startsWith('╭'));
    expect(box.map((line) => line.length)).toEqual([columns]);
    for (const line of lines) expect(line.length, line).toBeLessThanOrEqual(columns);
  });
});
