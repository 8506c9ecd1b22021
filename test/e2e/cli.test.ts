import {
  access,
  chmod,
  constants,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commands } from '../../src/cli/commands.ts';
import type { Report } from '../../src/model/report.ts';
import { readPcapng } from '../unit/render/pcapng-reader.ts';
import { isRoot, PROGRAM, shell, whydrop, type Ended } from './program.ts';

/** Could not tell, or bad usage. */
const UNKNOWN = 3;

let directory = '';
/** Of this host, short. */
let recording = '';

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'whydrop-e2e-'));
  // Nobody works in it too.
  await chmod(directory, 0o777);
  recording = join(directory, 'host.whydrop');
  const { exitCode, stderr } = await whydrop(['record', '-d', '100ms', '-o', recording]);
  if (exitCode !== 0) throw new Error(stderr);
  await chmod(recording, 0o644);
});

afterAll(async () => {
  await rm(directory, { recursive: true });
});

/** Bad usage says what to do, on stderr, in a line or two, without a stack. */
function expectRefusal({ exitCode, stdout, stderr }: Ended, says: RegExp): void {
  expect(stderr).toMatch(says);
  expect(stderr).toMatch(/^whydrop: /);
  expect(stderr).not.toMatch(/^ +at |fault of whydrop/m);
  expect({ exitCode, stdout }).toEqual({ exitCode: UNKNOWN, stdout: '' });
}

describe.concurrent('help', () => {
  test('of whydrop names every command', async () => {
    const { exitCode, stdout, stderr } = await whydrop(['--help']);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    const shown = commands.filter(({ hidden }) => hidden !== true);
    for (const { name } of shown) expect(stdout).toMatch(new RegExp(`^  ${name}\\b`, 'm'));
    expectNarrow(stdout);
  });

  test.each([...commands])('of $name has its examples', async ({ name, examples, exitCodes }) => {
    const { exitCode, stdout, stderr } = await whydrop([name, '--help']);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(examples).not.toEqual([]);
    for (const example of examples) expect(stdout).toContain(example);
    expect(stdout).toContain(exitCodes ?? 'Examples:');
    expectNarrow(stdout);
  });

  /** Every example is taken by the parser: what follows is `--help`, so nothing runs. */
  test.each(commands.flatMap(({ examples }) => examples))('example: %s', async (example) => {
    const [line = ''] = example.split(/ {2,}| \| /);
    const { exitCode, stderr } = await whydrop([...line.split(' ').slice(1), '--help']);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  });

  function expectNarrow(text: string): void {
    for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(100);
  }
});

test.each(['--version', '-V'])('%s', async (flag) => {
  const { version } = JSON.parse(
    await readFile(new URL('../../package.json', import.meta.url), 'utf8'),
  ) as { version: string };
  expect(await whydrop([flag])).toEqual({ exitCode: 0, stdout: `${version}\n`, stderr: '' });
});

/** npx makes it so the first time only that it sees a directory. */
test('npm run build makes a program that can be executed', async () => {
  await expect(access(PROGRAM, constants.X_OK)).resolves.toBeUndefined();
});

describe.concurrent('bad usage says what to do and ends with 3', () => {
  test.each([
    ['nonsense', /unknown command 'nonsense'\n.*whydrop --help/],
    ['report --nonsense', /unknown option '--nonsense'[^]*whydrop report --help/],
    ['--nonsense', /unknown option '--nonsense'[^]*whydrop --help/],
    ['report extra', /too many arguments/],
    ['report --iface', /--iface .*argument missing/],
    ['report --format xml', /'xml' is invalid.*text, json/],
    ['report --capture xdp', /'xdp' is invalid.*auto, bpf, tracefs, none/],
    ['report --duration 5x', /--duration 5x: write a number and a unit, such as 5s/],
    ['report --duration -1', /--duration -1: write/],
    ['report --duration 2h', /--duration 2h: write/],
    ['report --duration 61m', /one hour is the longest/],
    ['report --only nonsense', /no such cause; `whydrop list causes`/],
    ['report --ignore rpfilter@eth0', /no such cause; did you mean ip-rpfilter or/],
    ['explain nonsense', /no such cause, drop reason, .*; `whydrop list causes`/],
    ['explain ListenOverflos', /did you mean ListenOverflows\?/],
    ['explain', /missing required argument 'name'\n.*whydrop explain --help/],
    ['list nonsense', /can list causes, checks, reasons, functions, counters/],
    ['report --netns nonsense', /no network namespace named nonsense; 'ip netns' lists/],
    ['report --netns 4194305', /no process 4194305/],
    ['report --netns /dev/null', /\/dev\/null is not a network namespace/],
    ['report --from /nonsense', /\/nonsense: no such file/],
    ['record', /needs a file: whydrop record -o/],
    [
      'fix --dry-run --netns all',
      /--netns all is for `whydrop report`.* --netns \/run\/netns\/all/,
    ],
    ['record -o x --netns all', /--netns all is for `whydrop report`/],
    ['fix --from x', /a recording is never a reason to change this machine/],
    ['report --fix --from x', /a recording is never a reason to change this machine/],
    ['--fix --from x', /a recording is never a reason to change this machine/],
  ])('%s', async (line, says) => {
    expectRefusal(await whydrop(line.split(' ')), says);
  });

  test.skipIf(!isRoot)('fix without a terminal and without --yes', async () => {
    expectRefusal(await whydrop(['fix', '-d', '0']), /--yes applies .* --dry-run only shows/);
  });

  test('fix and undo without root', async () => {
    expectRefusal(await whydrop(['fix', '--yes'], { asNobody: true }), /needs root; --dry-run/);
    expectRefusal(await whydrop(['undo'], { asNobody: true }), /sudo whydrop undo/);
  });
});

describe.concurrent('stdout has the product and nothing else', () => {
  test('JSON parses, progress and warnings are on stderr', async () => {
    const { stdout, stderr } = await whydrop(['report', '-d', '200ms', '--json', '-v']);
    expect(JSON.parse(stdout)).toMatchObject({ schema: 'whydrop.report/1' });
    expect(stderr.split('\n').slice(0, 4)).toEqual([
      'Start the live drop capture ...',
      'Read counters and settings ...',
      'Watch drops as they happen ...',
      'Read the counters again ...',
    ]);
  });

  test.each(['-q', '--no-input'])('without -v, or with %s, stderr is silent', async (flag) => {
    const { stdout, stderr } = await whydrop(['report', '-d', '100ms', flag]);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^Next: /m);
  });

  test('no command without a terminal is a report', async () => {
    const { stdout, stderr } = await whydrop(['-d', '0']);
    expect(stdout).toContain('Loss was not measured (duration 0)');
    expect(stderr).toBe('');
  });

  test('--duration 0 reads settings only, at once', async () => {
    const { stdout } = await whydrop(['report', '-d', '0', '--json']);
    const report = JSON.parse(stdout) as Report;
    expect(report.window.seconds).toBe(0);
    expect(report.capture.backend).toBe('none');
  });

  test('list and explain', async () => {
    const { stdout: causes } = await whydrop(['list', 'causes']);
    expect(causes).toMatch(/^ip-rpfilter {2,}\S/m);
    expect((await whydrop(['list', 'checks'])).stdout).toMatch(/^snmp .*\/proc\/net\/netstat/m);
    expect((await whydrop(['list', 'reasons'])).stdout).toMatch(/^IP_RPFILTER {2,}\S/m);
    expect((await whydrop(['list', 'functions'])).stdout).toMatch(/^nf_hook_slow {2,}\S/m);
    const { stdout: counters } = await whydrop(['list', 'counters', '--json']);
    expect(JSON.parse(counters)).toContainEqual(
      expect.objectContaining({ key: 'TcpExt.ListenOverflows', source: '/proc/net/netstat' }),
    );
    expect((await whydrop(['explain', 'ip-rpfilter'])).stdout).toMatch(/^# .*[^]*^## Fix/m);
  });

  test.each([
    ['skb_drop_reason_ip_rpfilter', /^Drop reason `IP_RPFILTER`[^]*^- `ip-rpfilter`: The/m],
    ['nf_hook_slow+0xb0/0x110', /^Kernel function `nf_hook_slow`[^]*^- `nf-rule-drop`: /m],
    ['tcp_rcv_established+906', /^Kernel function `tcp_rcv_established`/m],
    ['TcpExt ListenOverflows', /^# TcpExtListenOverflows\n/],
    ['rx_queue_3_drops', /^# ethtool rx_queue_3_drops[^]*Driver igb[^]*^- `nic-rx-ring`/m],
    ['udpinerrors', /^# UdpInErrors\n/],
    ['InErrors', /^# UdpInErrors, Udp6InErrors/m],
    ['rp_filter', /^These causes speak of it[^]*\n\n- `ip-rpfilter`: The reverse-path filter/],
    ['nf_conntrack: table full, dropping packet', /\n\n- `nf-conntrack-full`: [^\n]*\n$/],
  ])('explain %s', async (name, says) => {
    const { exitCode, stdout, stderr } = await whydrop(['explain', ...name.split(' ')]);
    expect(stdout).toMatch(says);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  });

  test('explain --json', async () => {
    const { stdout } = await whydrop(['explain', '--json', 'NO_SOCKET']);
    expect(JSON.parse(stdout)).toMatchObject([{ kind: 'reason', name: 'NO_SOCKET' }]);
  });
});

describe.concurrent('a reader that leaves, a disk that is full', () => {
  test('| head ends quietly', async () => {
    const line = `$WHYDROP report --from ${recording} | true; echo "\${PIPESTATUS[0]}"`;
    expect(await shell(line)).toEqual({ exitCode: 0, stdout: '141\n', stderr: '' });
  });

  test('> /dev/full is told', async () => {
    const ended = await shell(`$WHYDROP report --from ${recording} > /dev/full`);
    expectRefusal(ended, /cannot write to standard output: ENOSPC/);
  });

  test('2> /dev/full does not matter', async () => {
    const { exitCode, stdout } = await shell(
      '$WHYDROP report -d 0 -v --fail-on never 2> /dev/full',
    );
    expect(exitCode).toBe(isRoot ? 0 : UNKNOWN);
    expect(stdout).toMatch(/^Next: /m);
  });

  test('-o replaces a file whole, and through a link', async () => {
    const [file, link] = [join(directory, 'old.json'), join(directory, 'link.json')];
    await writeFile(file, 'x'.repeat(1_000_000));
    await symlink(file, link);
    const { stdout, stderr } = await whydrop(['report', '--from', recording, '--json', '-o', link]);
    expect({ stdout, stderr }).toEqual({ stdout: '', stderr: '' });
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ schema: 'whydrop.report/1' });
    expect((await lstat(link)).isSymbolicLink()).toBe(true);
  });

  test('-o onto a device writes to it, and leaves it a device', async () => {
    const link = join(directory, 'full');
    await symlink('/dev/full', link);
    const ended = await whydrop(['report', '--from', recording, '-o', link]);
    expectRefusal(ended, /cannot write the report to .*full: ENOSPC/);
    expect((await lstat(link)).isSymbolicLink()).toBe(true);
    expect((await lstat('/dev/full')).isCharacterDevice()).toBe(true);
  });

  test.each([['report', '--from'], ['record']])(
    '%s -o into a read-only or missing directory leaves nothing',
    async (...command) => {
      const closed = await mkdtemp(join(directory, 'closed-'));
      await chmod(closed, 0o555);
      const args = command.length === 1 ? [...command, '-d', '0'] : [...command, recording];
      for (const path of [join(closed, 'x'), join(closed, 'missing/x')]) {
        expectRefusal(
          await whydrop([...args, '-o', path], { asNobody: true }),
          /cannot (?:write|be written)/,
        );
      }
      expect(await readdir(closed)).toEqual([]);
    },
  );

  test.skipIf(!isRoot)('-o onto a full disk keeps the old file and leaves no part', async () => {
    const small = await mkdtemp(join(directory, 'small-'));
    // A mount of its own, that goes with the shell.
    const script = `mount -t tmpfs -o size=4k tmpfs ${small} && echo old > ${small}/report || exit 9
      $WHYDROP report --from ${recording} --json -o ${small}/report; echo "$?"
      ls -A ${small}; cat ${small}/report`;
    const { stdout, stderr } = await shell(`unshare -m bash -c '${script}'`);
    expect(stdout).toBe(`${UNKNOWN}\nreport\nold\n`);
    expect(stderr).toMatch(/^whydrop: cannot write the report .*ENOSPC/);
  });
});

describe.concurrent('--pcap', () => {
  /** A recording of one packet that BPF saw. */
  async function onePacket(): Promise<string> {
    const [header = ''] = (await readFile(recording, 'utf8')).split('\n', 1);
    const details = {
      netns: null,
      ifindex: 1,
      interface: 'lo',
      ipProtocol: 17,
      topFlows: [],
      flowCount: 0,
      flowsApproximate: false,
      samples: [{ timeUs: 1_795_325_458_828_391, link: 'network', length: 20, bytes: 'RQAA' }],
      stack: [],
    };
    const drop = {
      reason: 'NO_SOCKET',
      location: '__udp4_lib_rcv',
      protocol: 0x0800,
      packets: 1,
      edgePackets: 0,
      details,
    };
    const capture = { backend: 'bpf', events: 1, lost: 0, hasReasons: true, drops: [drop] };
    const answer = (op: string, value: unknown) => ({
      phase: 'first',
      view: 'namespace',
      op,
      key: 'drops',
      result: { status: 'ok', value },
    });
    const lines = [
      answer('capture-start', null),
      { op: 'wait', from: 0, to: 1000 },
      answer('capture-stop', capture),
      { op: 'end' },
    ].map((line) => JSON.stringify(line));
    const path = join(directory, 'packet.whydrop');
    await writeFile(path, [header, ...lines, ''].join('\n'));
    return path;
  }

  test('writes what the capture kept, for its owner', async () => {
    const file = join(directory, 'packet.pcapng');
    const args = ['report', '--from', await onePacket(), '--pcap', file];
    const { stdout, stderr } = await whydrop(args);
    expect(stdout).toMatch(/^Next: /m);
    expect(stderr).toBe(`Wrote 1 of 1 dropped packet to ${file}. It holds user data.\n`);
    expect((await lstat(file)).mode & 0o777).toBe(0o600);
    expect(readPcapng(await readFile(file)).packets).toMatchObject([
      { interface: 'lo', bytes: Buffer.from('RQAA', 'base64'), length: 20 },
    ]);
    expect((await whydrop([...args, '-q'])).stderr).toBe('');
  });

  test('without packets there is no file, and the report is as ever', async () => {
    const file = join(directory, 'none.pcapng');
    const unwatched = join(directory, 'unwatched.whydrop');
    await whydrop(['record', '-d', '100ms', '--capture', 'none', '-o', unwatched]);
    const { stdout, stderr } = await whydrop(['report', '--from', unwatched, '--pcap', file]);
    expect(stdout).toBe((await whydrop(['report', '--from', unwatched])).stdout);
    expect(stderr).toMatch(
      /^whydrop: .*none\.pcapng is not written: only --capture bpf keeps.*\n$/,
    );
    await expect(lstat(file)).rejects.toThrow('ENOENT');
  });

  test('a file that cannot be written does not cost the report', async () => {
    const from = ['report', '--from', await onePacket()];
    for (const path of ['/dev/full', join(directory, 'missing/x')]) {
      const { exitCode, stdout, stderr } = await whydrop([...from, '--pcap', path]);
      expect(exitCode).toBe(UNKNOWN);
      expect(stdout).toMatch(/^Next: /m);
      expect(stderr).toMatch(/^whydrop: cannot write the packets to .*: (?:ENOSPC|ENOENT)/);
    }
  });
});

describe.concurrent('colour and plain text, off a terminal', () => {
  const report = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    whydrop(['report', '--from', recording, ...args], { env });
  const escape = '\x1b[';

  test('no colour in a pipe; --color always wins over NO_COLOR', async () => {
    expect((await report([])).stdout).not.toContain(escape);
    expect((await report(['--color', 'always'])).stdout).toContain(escape);
    expect((await report(['--color', 'always'], { NO_COLOR: '1' })).stdout).toContain(escape);
    expect((await report([], { WHYDROP_COLOR: 'always' })).stdout).toContain(escape);
  });

  test.each([
    { args: ['--plain'], env: {} },
    { args: [], env: { TERM: 'dumb' } },
    { args: [], env: { ACCESSIBLE: '1' } },
    { args: [], env: { WHYDROP_PLAIN: '1' } },
  ])('plain: $args $env is ASCII without a box', async ({ args, env }) => {
    expect((await report([])).stdout).toContain('╭');
    expect((await report(args, env)).stdout).toMatch(/^(?:OK|UNKNOWN|WARNING|CRITICAL): [\n -~]*$/);
  });

  test('no colour in a file, even when asked for', async () => {
    const file = join(directory, 'report.txt');
    await report(['--color', 'always', '-o', file]);
    expect(await readFile(file, 'utf8')).toMatch(/^[^\x1b]+\nNext: /);
  });
});

describe.concurrent('the environment', () => {
  const report = (env: Readonly<Record<string, string>>, args: readonly string[] = []) =>
    whydrop(['report', '--from', recording, ...args], { env });

  test('gives defaults, the command line wins', async () => {
    expect((await report({ WHYDROP_FORMAT: 'json' })).stdout).toMatch(/^\{/);
    expect((await report({ WHYDROP_FORMAT: 'json' }, ['-f', 'text'])).stdout).not.toMatch(/^\{/);
    expectRefusal(await whydrop(['report'], { env: { WHYDROP_DURATION: '5x' } }), /--duration 5x/);
    expectRefusal(await report({ WHYDROP_FORMAT: 'xml' }), /WHYDROP_FORMAT/);
  });

  test.each(['1', 'true', 'yes'])('a switch is on with %s', async (value) => {
    expect((await report({ WHYDROP_JSON: value })).stdout).toMatch(/^\{/);
  });

  test.each(['', '0', 'false', 'no', 'off'])('a switch is off with "%s"', async (value) => {
    expect((await report({ WHYDROP_JSON: value })).stdout).not.toMatch(/^\{/);
  });

  test('lists have commas; an empty variable is none', async () => {
    const scope = async (env: Readonly<Record<string, string>>, args: readonly string[] = []) =>
      (JSON.parse((await report(env, ['--json', ...args])).stdout) as Report).scope.interfaces;
    expect(await scope({ WHYDROP_IFACE: 'lo,eth0' })).toEqual(['lo', 'eth0']);
    expect(await scope({ WHYDROP_IFACE: 'lo,eth0' }, ['-i', 'eth1'])).toEqual(['eth1']);
    expect(await scope({ WHYDROP_IFACE: '', WHYDROP_NETNS: '' })).toEqual([]);
    expectRefusal(await report({ WHYDROP_ONLY: 'ip-rpfilter,nonsense' }), /--only nonsense/);
  });

  test.skipIf(!isRoot)('WHYDROP_YES=0 is not a yes', async () => {
    const env = { WHYDROP_YES: '0' };
    expectRefusal(await whydrop(['fix', '-d', '0'], { env }), /--yes applies/);
  });
});

describe.concurrent('without root', () => {
  test('says what it could not see, and never that all is well', async () => {
    // Unknown, unless the counters it may read tell of a loss.
    const text = await whydrop(['report', '-d', '200ms'], { asNobody: true });
    expect(text.exitCode).not.toBe(0);
    expect(text.stdout).toMatch(/(?:UNKNOWN|WARNING|CRITICAL): [^]*^Could not look[^]*needs root/m);

    const { stdout } = await whydrop(['report', '-d', '200ms', '--json'], { asNobody: true });
    const { verdict, capture, checks, notJudged } = JSON.parse(stdout) as Report;
    expect(verdict).not.toBe('ok');
    expect(capture.backend).toBe('none');
    expect(checks.find(({ id }) => id === 'drops')).toMatchObject({ status: 'denied' });
    expect(notJudged.length).toBeGreaterThan(0);
  });

  test.skipIf(!isRoot)('another namespace is refused with the reason', async () => {
    const ended = await whydrop(['report', '--netns', '1'], { asNobody: true });
    expectRefusal(ended, /run whydrop as root/);
  });
});

describe.concurrent('recordings that cannot be believed', () => {
  const hostile = async (name: string, content: string | Uint8Array): Promise<Ended> => {
    const file = join(directory, name);
    await writeFile(file, content);
    return whydrop(['report', '--from', file], { asNobody: true });
  };

  test('empty, garbage, of another program', async () => {
    const cases: readonly (readonly [string, string | Uint8Array])[] = [
      ['empty', ''],
      ['garbage', Buffer.from([0x00, 0xff, 0x1b, 0x5b, 0x32, 0x4a])],
      ['garbage.gz', Buffer.from([0x1f, 0x8b, 0xff, 0x00])],
      ['json', '{"schema":"other/1"}\n'],
      ['deep', `${'['.repeat(100_000)}\n`],
    ];
    for (const [name, content] of cases) {
      const ended = await hostile(name, content);
      expectRefusal(ended, new RegExp(name));
      expect(ended.stderr, name).toMatch(/^[\n -~]*$/);
      expect(ended.stderr.split('\n').length, name).toBeLessThanOrEqual(3);
    }
  });

  test.each(['cut', 'cut.gz'])(
    '%s off, it is read as far as it goes, and says so',
    async (name) => {
      const whole = await readFile(recording);
      const bytes = name.endsWith('.gz') ? gzipSync(whole) : whole;
      const { exitCode, stdout } = await hostile(name, bytes.subarray(0, bytes.length / 2));
      expect(exitCode).toBe(UNKNOWN);
      expect(stdout).toContain('UNKNOWN: Could not tell');
      expect(stdout).toMatch(/cut off/);
    },
  );

  test('a directory, a device', async () => {
    await mkdir(join(directory, 'folder'));
    for (const path of [join(directory, 'folder'), '/dev/zero']) {
      expectRefusal(await whydrop(['report', '--from', path]), new RegExp(path));
    }
  });

  test('a gzip bomb ends soon', async () => {
    const bomb = gzipSync(Buffer.alloc(600 * 1024 * 1024, 'x'), { level: 1 });
    expectRefusal(await hostile('bomb.gz', bomb), /bomb\.gz/);
  });

  test('escape sequences in it do not reach the terminal', async () => {
    const text = await readFile(recording, 'utf8');
    const hostname = /"hostname":"([^"]+)"/.exec(text)?.[1] ?? '';
    expect(hostname).not.toBe('');
    const { stdout, stderr } = await hostile(
      'escape',
      text.replace(`"hostname":"${hostname}"`, String.raw`"hostname":"h\u001b[2Jx"`),
    );
    expect(stdout + stderr).not.toContain('\x1b');
    expect(stdout + stderr).toMatch(/hx|hostname/);
  });
});

describe.concurrent('configuration file', () => {
  test('sets what neither the command line nor the environment does', async () => {
    const config = join(directory, 'config');
    await mkdir(join(config, 'whydrop'), { recursive: true });
    const file = join(config, 'whydrop/config.json');
    await writeFile(file, JSON.stringify({ defaults: { format: 'json', plain: true } }));
    const env = { XDG_CONFIG_HOME: config };
    const configured = await whydrop(['report', '--from', recording], { env });
    expect(JSON.parse(configured.stdout)).toMatchObject({ schema: 'whydrop.report/1' });
    const asked = await whydrop(['report', '--from', recording, '--format', 'text'], { env });
    expect(asked.stdout).not.toMatch(/^\{/);
    await writeFile(file, '{"defaults": {"formats": "json"}}');
    expectRefusal(
      await whydrop(['report', '--from', recording], { env }),
      /config\.json: "formats" is no option/,
    );
    // Help is there to find out what is wrong.
    expect((await whydrop(['report', '--help'], { env })).exitCode).toBe(0);
  });
});
