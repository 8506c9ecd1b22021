import { stripVTControlCharacters } from 'node:util';

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { findLocation } from '../../../src/catalogue/locations.ts';
import type { Report, ReportCause, ReportNamespace } from '../../../src/model/report.ts';
import { renderText, type TextOptions } from '../../../src/render/text.ts';
import { sampleReport } from './sample-report.ts';

const [firstCause, secondCause] = sampleReport.causes;
const firstFix = firstCause?.fixes[0];
if (firstCause === undefined || secondCause === undefined || firstFix === undefined) {
  throw new Error('the sample report has two causes and a fix');
}

const terminal: TextOptions = { width: 80, color: false, plain: false, verbose: false };
const quiet: Report = {
  ...sampleReport,
  capture: { backend: 'bpf', events: 0, lost: 0, unavailable: [] },
  totals: { dropped: 0, explained: 0, benign: 0, unexplained: 0 },
  verdict: 'ok',
  causes: [],
  benign: [],
  unexplained: [],
  elsewhere: { packets: 0, text: '', drops: [] },
  reconciliation: [],
  uncounted: [],
  notJudged: [],
  suppressed: [],
  crashed: [],
  checks: [{ id: 'drops', status: 'ok', tookMs: 5001 }],
  notes: [],
};

async function linesOf(report: Report, options: Partial<TextOptions> = {}): Promise<string[]> {
  return (await renderText(report, { ...terminal, ...options })).split('\n');
}

/** The lines within the box, without frame and padding. */
async function boxOf(report: Report): Promise<string[]> {
  const lines = await linesOf({ ...report }, { width: 120 });
  return lines.filter((line) => line.startsWith('│')).map((line) => line.slice(1, -1).trim());
}

describe('verdict', () => {
  test('says what is lost, to what, and what limits the claim', async () => {
    expect(await boxOf(sampleReport)).toEqual([
      'CRITICAL: 12,405 packets lost in 5.0 s (2,476/s)',
      '99.2 % of them: The reverse-path filter drops packets (namespace b, interface vb); 1 more cause below',
      '300 more drops on this host cannot be placed here: see Elsewhere',
    ]);
  });

  test('names what makes the verdict, not what costs most packets', async () => {
    const milder = { ...firstCause, packets: 12_000, severity: 'warning' as const };
    const worse = { ...secondCause, packets: 400, severity: 'critical' as const };
    const [, main] = await boxOf({ ...sampleReport, causes: [milder, worse] });
    expect(main).toContain(`3.2 % of them: ${secondCause.title}`);

    const totals = { dropped: 100, explained: 60, benign: 0, unexplained: 40 };
    const notice = { ...firstCause, packets: 60, severity: 'notice' as const };
    const unknown = { ...sampleReport, verdict: 'warning' as const, totals, causes: [notice] };
    expect((await boxOf(unknown))[1]).toBe('40 % of them: no known cause explains them');
  });

  test('a rate reads as that of its only cause', async () => {
    const totals = { dropped: 1003, explained: 1003, benign: 0, unexplained: 0 };
    const only = { ...firstCause, packets: 1003, packetsPerSecond: 200.5 };
    const window = { ...sampleReport.window, seconds: 5.003 };
    const text = (await linesOf({ ...sampleReport, totals, window, causes: [only] })).join('\n');
    expect(text).toContain('1,003 packets lost in 5.0 s (201/s)');
    expect(text).toContain('1,003 packets (201/s)');
  });

  test('nothing wrong', async () => {
    expect(await boxOf(quiet)).toEqual(['OK: No packet loss found in 5.0 s']);
    expect(
      await boxOf({ ...quiet, totals: { dropped: 12, explained: 0, benign: 12, unexplained: 0 } }),
    ).toEqual(['OK: No packet loss found in 5.0 s; 12 drops, all harmless']);
  });

  test('a little loss without a cause', async () => {
    const totals = { dropped: 3, explained: 0, benign: 0, unexplained: 3 };
    expect(await boxOf({ ...quiet, totals })).toEqual([
      'OK: 3 packets lost in 5.0 s (0.6/s), too few to matter',
      'No known cause explains them',
    ]);
  });

  test('could not tell, and why, worst first', async () => {
    const report: Report = {
      ...quiet,
      verdict: 'unknown',
      checks: [
        { id: 'a', core: true, status: 'absent', reason: 'There is no a.', tookMs: 1 },
        { id: 'b', core: true, status: 'not-applicable', reason: 'No b here.', tookMs: 1 },
        { id: 'c', status: 'crashed', reason: 'the verdict does not rest on c', tookMs: 1 },
        { id: 'd', core: true, status: 'crashed', reason: 'x is undefined', tookMs: 1 },
        {
          id: 'drops',
          core: true,
          status: 'denied',
          reason: 'Only root may read trace_pipe.',
          tookMs: 1,
        },
      ],
    };
    expect(await boxOf(report)).toEqual([
      'UNKNOWN: Could not tell whether packets are lost',
      'd failed: x is undefined',
      'Only root may read trace_pipe.',
      'There is no a.',
    ]);
    expect(await linesOf(report)).toContain('Next: run it as root: sudo whydrop report --netns b');
  });

  test('duration 0 claims nothing about loss', async () => {
    const settings = { ...quiet, window: { ...quiet.window, seconds: 0 } };
    expect(await boxOf(settings)).toEqual([
      'OK: Nothing wrong found in the settings. Loss was not measured (duration 0)',
    ]);
    const found: Report = {
      ...settings,
      verdict: 'warning',
      causes: [{ ...firstCause, packets: 0, packetsPerSecond: 0 }],
    };
    expect((await boxOf(found))[0]).toBe(
      'WARNING: 1 finding in the settings. Loss was not measured (duration 0)',
    );
    const lines = (await linesOf(found)).join('\n');
    expect(lines).toContain('no packet lost here');
    expect(lines).not.toMatch(/NaN|Infinity/);
  });

  test('no live capture, or one that lost events, limits the claim', async () => {
    const unavailable = [{ backend: 'tracefs', reason: 'Only root may use it.' }];
    const blind: Report = {
      ...quiet,
      capture: { backend: 'none', events: 0, lost: 0, unavailable },
    };
    expect(await boxOf(blind)).toContain(
      'Drops were not watched live, only counters compared: Only root may use it.',
    );
    const lossy: Report = { ...quiet, capture: { ...quiet.capture, lost: 1234 } };
    expect(await boxOf(lossy)).toContain(
      'Counts are lower bounds: 1,234 drop events came too fast to be read',
    );
  });
});

test('counts in evidence have separators, ports have none', async () => {
  const because = [
    '1008 drops with the reason NO_SOCKET',
    'about 5000 of 12345 packets went to 10.0.0.1:5353',
    'port 8080 of 10.0.0.1 is closed',
  ].map((text) => ({ source: 's', text }));
  const text = await renderText(
    { ...sampleReport, causes: [{ ...firstCause, because }] },
    terminal,
  );
  expect(text).toContain('1,008 drops with');
  expect(text).toContain('about 5,000 of 12,345 packets');
  expect(text).toContain('10.0.0.1:5353');
  expect(text).toContain('port 8080 of');
});

test('a capture that is not the best is a note; none is a source that could not be looked at', async () => {
  const unavailable = [{ backend: 'bpf', reason: 'No libbpf.' }];
  const second = { ...quiet, capture: { ...quiet.capture, backend: 'tracefs', unavailable } };
  const lines = await linesOf(second as Report);
  expect(lines.slice(lines.indexOf('Notes'))[1]).toBe('  - bpf capture: No libbpf.');
  expect(lines).not.toContain('Could not look');

  const blind = { ...quiet, capture: { ...quiet.capture, backend: 'none', unavailable } };
  const could = await linesOf(blind as Report);
  expect(could.slice(could.indexOf('Could not look'))[1]).toBe('  - bpf capture: No libbpf.');
  expect(could).not.toContain('Notes');
});

test('root is not told to become root', async () => {
  const checks = [{ id: 'drops', core: true, status: 'denied', reason: 'No.', tookMs: 1 }];
  const notJudged = [{ rule: 'r', missing: ['drops: No.'] }];
  const denied = { ...quiet, verdict: 'unknown', checks, notJudged } as Report;
  expect((await linesOf(denied)).join('\n')).toMatch(/Run it as root[^]*run it as root: sudo/);
  const root = { ...denied, host: { ...denied.host, root: true } };
  expect((await linesOf(root)).join('\n')).not.toMatch(/as root/);
});

describe('cause', () => {
  test('heading, labels, evidence, commands', async () => {
    const lines = await linesOf(sampleReport, { width: 120 });
    const start = lines.findIndex((line) => line.startsWith('1. '));
    expect(lines.slice(start, start + 12)).toEqual([
      '1. The reverse-path filter drops packets  [critical · certain]  12,300 packets (2,455/s)',
      '   Where    namespace b, interface vb',
      '   Because  - Packets that failed the reverse-path filter: 10 → 12,310 (/proc/net/netstat TcpExt IPReversePathFilter)',
      '            - 12,300 packets were seen dropped for it in ip_rcv_finish_core (skb:kfree_skb reason IP_RPFILTER)',
      '            - vb is strict: 1 (/proc/sys/net/ipv4/conf/vb/rp_filter)',
      '   Means    Packets come in on vb from addresses whose route leads out of another interface. Strict mode takes them for',
      '            forged and drops them.',
      '   Fix      1) Accept packets on vb whose source is reachable some other way (loose mode)  [caution]',
      '               ip netns exec b sysctl -w net.ipv4.conf.vb.rp_filter=2',
      '               now 1 → 2',
      '               Cost: Forged sources pass as long as any route to them exists.',
      '            2) Route the answers out of the interface the packets came in by  [interrupts traffic]',
    ]);
    expect(lines).toContain('   Follows  UDP clients time out. It needs no action of its own.');
    expect(lines).toContain('   More     whydrop explain ip-rpfilter');
  });

  test('a long command stays on one line at any width', async () => {
    const command = `sysctl -w net.ipv4.tcp_rmem='${'4096 '.repeat(60)}'`;
    const steps = [
      { kind: 'sysctl', key: 'k', from: '1', to: '2', hostWide: true, command } as const,
    ];
    const report = {
      ...sampleReport,
      causes: [{ ...firstCause, fixes: [{ ...firstFix, steps }] }],
    };
    const lines = await linesOf(report, { width: 40 });
    expect(lines.map((line) => line.trim())).toContain(command);
    expect(lines.join(' ').replaceAll(/ +/g, ' ')).toContain('now 1 → 2 · acts on the whole host');
  });
});

describe('sections', () => {
  test('harmless, unexplained, elsewhere', async () => {
    const lines = await linesOf(sampleReport);
    expect(lines).toContain(
      '       40  Sockets that were closed freed what nobody will read any more.',
    );
    expect(lines).toContain('        4  NOT_SPECIFIED @ foo_rcv, IPv4');
    expect(lines).toContain('        1  0xffffffff81234567, LLDP');
    expect(lines).toContain('      300  NETFILTER_DROP @ nf_hook_slow, IPv6');
  });

  test('unexplained drops say what they are: by the reason, or else by the function', async () => {
    const drop = { location: 'neigh_invalidate', protocol: 0x0800, packets: 7 };
    const unexplained = [
      { ...drop, reason: 'NEIGH_FAILED' },
      { ...drop, reason: 'NOT_SPECIFIED' },
      { ...drop, reason: 'VENDOR_REASON', location: 'vendor_rcv' },
    ];
    const lines = await linesOf({ ...quiet, unexplained }, { width: 120 });
    expect(lines).toContain(
      '        7  NEIGH_FAILED @ neigh_invalidate, IPv4: The next hop does not answer',
    );
    expect(lines).toContain(
      `        7  NOT_SPECIFIED @ neigh_invalidate, IPv4: ${findLocation('neigh_invalidate')?.title ?? ''}`,
    );
    expect(lines).toContain('        7  VENDOR_REASON @ vendor_rcv, IPv4');
  });

  test('long lists are cut with a hint; verbose has all', async () => {
    const unexplained = Array.from({ length: 20 }, (_, index) => ({
      reason: `R${index}`,
      location: 'f',
      protocol: 0x1234,
      packets: 1,
    }));
    const short = await linesOf({ ...quiet, unexplained });
    expect(short.filter((line) => line.includes('@ f, EtherType 0x1234'))).toHaveLength(6);
    expect(short).toContain('    … and 14 more: -v lists all');
    const long = await linesOf({ ...quiet, unexplained }, { verbose: true });
    expect(long.filter((line) => line.includes('@ f'))).toHaveLength(20);
  });

  test('could not look: one line for a source, whatever number of rules miss it', async () => {
    const lines = await linesOf(sampleReport);
    expect(lines).toContain(
      '  - ethtool: not installed. Install the package ethtool. (3 causes not judged)',
    );
    expect(lines).toContain('  - Run it as root to see what was denied.');
    expect(lines.join('\n')).not.toContain('wireless');
  });

  test('verbose adds what was ruled out, the counters, and what each check took', async () => {
    const terse = (await linesOf(sampleReport)).join('\n');
    const lines = await linesOf(sampleReport, { verbose: true });
    for (const line of [
      '   Not      ip-martian: the martian counters did not move',
      '   12,300   12,300        0        0  TcpExtIPReversePathFilter',
      '  5012.3 ms  drops ok',
      '     0.0 ms  wireless not-applicable: no such interface here.',
    ]) {
      expect(lines).toContain(line);
      expect(terse).not.toContain(line);
    }
  });

  test('a quiet host gets a short answer', async () => {
    expect(await linesOf(quiet, { plain: true })).toEqual([
      'OK: No packet loss found in 5.0 s',
      '  web1, Linux 6.18.44, namespace b, 2026-11-21 23:00:00 UTC, 5.0 s, drops seen',
      '  by BPF',
      '',
      'Next: nothing to do. If loss comes and goes, watch longer: whydrop report',
      '      --duration 60s --netns b',
      '',
    ]);
  });
});

describe('next step', () => {
  const nextOf = async (report: Report): Promise<string | undefined> =>
    (await linesOf(report, { width: 120 })).find((line) => line.startsWith('Next:'));
  const [applicable, byHand] = sampleReport.causes;
  if (applicable === undefined || byHand === undefined)
    throw new Error('the sample has two causes');

  test('fix, when there is something it can apply', async () => {
    expect(await nextOf(sampleReport)).toBe(
      'Next: whydrop fix --netns b shows each change, asks, applies it and measures again.',
    );
  });

  test('a recording is never fixed', async () => {
    const recording = { ...sampleReport, host: { ...sampleReport.host, recorded: true } };
    expect(await nextOf(recording)).toMatch(/^Next: whydrop fix .* on web1 itself/);
  });

  test('by hand, when only people may do it', async () => {
    expect(await nextOf({ ...sampleReport, causes: [secondCause] })).toMatch(
      /^Next: do the above by hand/,
    );
  });

  test('explain, when there is no fix', async () => {
    const causes = [{ ...firstCause, fixes: [] }];
    expect(await nextOf({ ...sampleReport, causes })).toBe(
      'Next: whydrop explain ip-rpfilter tells more about the cause.',
    );
  });

  test('other namespaces, when the drops are there', async () => {
    expect(await nextOf({ ...quiet, elsewhere: sampleReport.elsewhere })).toBe(
      'Next: look into the other namespaces: whydrop report --netns all',
    );
  });

  test('record, when most of it is unexplained', async () => {
    const totals = { dropped: 500, explained: 0, benign: 0, unexplained: 500 };
    expect(await nextOf({ ...quiet, verdict: 'warning', totals })).toMatch(
      /^Next: whydrop record -o drops\.whydrop --netns b/,
    );
  });
});

describe('all namespaces of a machine', () => {
  const lossless = { dropped: 0, explained: 0, benign: 0, unexplained: 0 };
  const loss = { dropped: 300, explained: 300, benign: 0, unexplained: 0 };
  const inNamespace = (netns: string, rank: number): ReportCause => ({
    ...firstCause,
    rank,
    packets: 300,
    scope: { netns, interface: 'eth0' },
  });
  const machine: Report = {
    ...quiet,
    scope: { netns: ['all'], interfaces: [] },
    verdict: 'critical',
    totals: { ...loss, dropped: 2700, explained: 2700 },
    causes: Array.from({ length: 9 }, (_, index) => inNamespace(`c${index}`, index + 1)),
    namespaces: [
      ...Array.from({ length: 9 }, (_, index): ReportNamespace => ({
        name: `c${index}`,
        netns: `${100 + index}`,
        inode: 4026532000 + index,
        verdict: 'critical',
        totals: loss,
      })),
      {
        name: 'vault',
        netns: null,
        inode: 4026532099,
        verdict: 'unknown',
        totals: lossless,
        unread: 'Nobody may look.',
      },
      { name: null, netns: null, inode: 4026531840, verdict: 'ok', totals: lossless },
      { name: 'idle', netns: 'idle', inode: 4026532100, verdict: 'ok', totals: lossless },
    ],
  };

  test('the verdict counts namespaces', async () => {
    expect((await boxOf(machine))[0]).toBe(
      'CRITICAL: 9 of 12 network namespaces lose packets: 2,700 packets lost in 5.0 s (539/s)',
    );
    const one = { ...machine, namespaces: machine.namespaces?.slice(8) ?? [] };
    expect((await boxOf(one))[0]).toMatch(/^CRITICAL: 1 of 4 network namespaces loses packets: /);
    const none: Report = { ...machine, verdict: 'ok', totals: lossless, causes: [] };
    expect(await boxOf(none)).toEqual([
      'OK: No packet loss found in 5.0 s in 12 network namespaces',
    ]);
  });

  test('the same cause in many namespaces is told once, -v tells each', async () => {
    const lines = await linesOf(machine, { width: 100 });
    expect(lines.filter((line) => line.includes(firstCause.title))).toHaveLength(2);
    expect(
      lines.filter((line) => /^ {3}Also {5}- 2\. namespace c1, interface eth0: 300 /.test(line)),
    ).toHaveLength(1);
    expect(lines.join('\n')).toContain('- 2 more: -v shows all');
    const all = await linesOf(machine, { width: 100, verbose: true });
    expect(all.filter((line) => /^\d\. /.test(line))).toHaveLength(9);
  });

  test('the table has what is to be told of each, and counts the quiet ones', async () => {
    const lines = await linesOf(machine, { width: 100 });
    const table = lines.slice(lines.indexOf('Network namespaces') + 1);
    expect(table.slice(0, 1)).toEqual(['  critical   c0: 300 packets lost · --netns 100']);
    expect(table.slice(6, 8)).toEqual([
      '    … and 4 more: -v lists all',
      '    2 more: nothing lost',
    ]);
    const all = (await linesOf(machine, { width: 100, verbose: true })).join('\n');
    expect(all).toContain('  unknown    vault: Nobody may look.');
    expect(all).toContain('  ok         the host itself: 0 packets lost');
  });

  test('the next step is in one namespace, and names it as --netns takes it', async () => {
    const next = async (report: Report) =>
      (await linesOf(report, { width: 100 })).find((line) => line.startsWith('Next: '));
    expect(await next(machine)).toMatch(/^Next: whydrop fix --netns 100 shows/);
    const onHost = { ...machine, causes: [{ ...firstCause, scope: {} }] };
    expect(await next(onHost)).toMatch(/^Next: whydrop fix shows/);
    const unexplained = { dropped: 500, explained: 0, benign: 0, unexplained: 500 };
    const unknown: Report = {
      ...machine,
      verdict: 'warning',
      totals: unexplained,
      causes: [],
      namespaces: (machine.namespaces ?? []).map((entry) =>
        entry.name === 'idle' ? { ...entry, totals: unexplained } : entry,
      ),
    };
    expect(await next(unknown)).toMatch(
      /^Next: whydrop record -o drops.whydrop --netns idle keeps/,
    );
  });
});

describe('terminal', () => {
  const commands = new Set(
    sampleReport.causes.flatMap(({ fixes }) =>
      fixes.flatMap(({ steps }) => steps.map(({ command }) => command)),
    ),
  );

  test.each([40, 80, 120, 200])('no line is wider than %i columns, but commands', async (width) => {
    for (const plain of [false, true]) {
      const lines = await linesOf(sampleReport, { width, plain, verbose: true, color: true });
      const wide = lines
        .map((line) => stripVTControlCharacters(line))
        .filter((line) => line.length > width && !commands.has(line.trim()));
      expect(wide).toEqual([]);
    }
  });

  test('the box is as wide as the terminal, wherever the text goes', async () => {
    expect((await linesOf(quiet, { width: 100 }))[0]).toHaveLength(100);
  });

  test('plain is ASCII without a box', async () => {
    expect(await renderText(sampleReport, { ...terminal, plain: true, verbose: true })).toMatch(
      /^[ -~\n]*$/,
    );
  });

  test('colour changes nothing but colour', async () => {
    const colored = await renderText(sampleReport, { ...terminal, color: true });
    expect(colored).toContain('\u001b[31m');
    expect(stripVTControlCharacters(colored)).toBe(await renderText(sampleReport, terminal));
  });

  test('hostile text cannot reach the terminal raw', { timeout: 30_000 }, async () => {
    const unit = fc.constantFrom(
      ...Array.from('\u001b[];m\u0007\u009b\n\r\t\u202e\u200b\\ Aé日🙂'),
    );
    const hostile = fc.oneof(
      fc.string({ unit, maxLength: 80 }),
      fc.string({ unit: 'binary', maxLength: 20 }),
      fc.constant('w'.repeat(3000)),
    );
    const options = fc.record({
      width: fc.constantFrom(40, 80, 200),
      color: fc.boolean(),
      plain: fc.boolean(),
      verbose: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(hostile, options, async (text, look) => {
        const output = await renderText(poisoned(sampleReport, text), look);
        const ours = /\u001b\[(?:1|2|22|31|32|33|35|36|39)m/g;
        const rest = look.color ? output.replaceAll(ours, '') : output;
        expect(rest.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
        // A line break in a name must not be able to forge a verdict.
        expect(rest.match(/^(?:│ )?(?:OK|WARNING|CRITICAL|UNKNOWN): /gm)).toHaveLength(1);
      }),
      { numRuns: 40 },
    );
  });
});

/** The report with `text` for every string that comes from a machine. */
function poisoned(report: Report, text: string): Report {
  const ours = new Set(
    'schema verdict severity confidence risk kind status backend takesEffect change'.split(' '),
  );
  return JSON.parse(
    JSON.stringify(report, (key, value: unknown) =>
      typeof value === 'string' && !ours.has(key) ? `${text}\nOK: all is well` : value,
    ),
  ) as Report;
}
