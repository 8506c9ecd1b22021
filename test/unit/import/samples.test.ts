import { readdirSync, readFileSync } from 'node:fs';

import { Ajv, type AnySchema } from 'ajv';
import { expect, test } from 'vitest';

import type { ImportFinding, ImportReport } from '../../../src/model/import-report.ts';
import { importText, sample, shown } from './import.ts';

/** Where the packets were freed, as [function, packets]. */
function places(findings: readonly ImportFinding[]): [string, number][] {
  return findings.flatMap(({ drops }) =>
    drops.map(({ location, packets }): [string, number] => [location, packets]),
  );
}

function commands({ findings, next }: ImportReport): string {
  return [...findings.flatMap(({ confirm }) => confirm), ...next]
    .map(({ command }) => command)
    .join('\n');
}

test('CentOS 6: frames nobody handles come first, with what tells them apart', async () => {
  const report = await importText(sample('dropwatch-centos6.txt'));
  const [first] = report.findings;
  expect(first).toMatchObject({ judgement: 'usually-harmless', packets: 77 });
  expect(first?.title).toMatch(/unregistered protocol.*VLAN.*IPv6/);
  for (const cause of ['l2-unhandled-proto', 'vlan-no-device', 'ipv6-disabled']) {
    expect(first?.causes).toContain(cause);
  }
  const confirm = commands({ ...report, findings: report.findings.slice(0, 1), next: [] });
  for (const tool of ['tcpdump -eni', '/proc/net/ptype', 'vlan', '/proc/net/if_inet6']) {
    expect(confirm).toContain(tool);
  }
  expect(places(report.harmless)).toEqual([
    ['unix_dgram_connect', 12],
    ['inet_csk_reset_xmit_timer', 2],
  ]);
  expect(report.verdict).toBe('ok');
  expect(report.totals).toEqual({
    drops: 92,
    findings: 78,
    harmless: 14,
    unexplained: 0,
    unresolved: 0,
  });
  expect(await shown(report)).toMatch(
    /retransmits.* these drops do not explain it.*At most 3 of 92/,
  );
});

test('the laptop: nothing but normal drops, and it is said', async () => {
  const report = await importText(sample('dropwatch-laptop.txt'));
  expect(report.verdict).toBe('ok');
  expect(report.findings.map(({ judgement }) => judgement)).toEqual([
    'usually-harmless',
    'usually-harmless',
  ]);
  expect(places(report.harmless)).toEqual([
    ['unix_release_sock', 4],
    ['igmp_rcv', 2],
    ['sk_stream_kill_queues', 1],
  ]);
  expect(await shown(report)).toMatch(/^OK: 18 drops: nothing points at lost traffic/);
});

test('netstat -i: 242 drops in 1.2 million are history, and the next command is there', async () => {
  const report = await importText(sample('netstat-i.txt'));
  expect(report.findings).toEqual([]);
  expect(report.history.find((entry) => entry.interface === 'enp0s25')).toEqual({
    interface: 'enp0s25',
    rx: { packets: 1235101, errors: 0, dropped: 242, overruns: 0 },
    tx: { packets: 745760, errors: 0, dropped: 0, overruns: 0 },
  });
  expect(report.history).toHaveLength(4);
  expect(report.verdict).toBe('unknown');
  const text = await shown(report);
  expect(text).toMatch(/^UNKNOWN: Only totals since boot/);
  expect(text).toContain('enp0s25: 242 dropped beside 1,235,101 received (<0.1 %)');
  expect(report.next[0]?.command).toBe('whydrop report -d 60s -i enp0s25');
  expect(commands(report)).toContain('rx_missed_errors');
});

test('retis: a closed port, named', async () => {
  const report = await importText(sample('retis-dropmon.txt'));
  expect(report.findings).toMatchObject([
    {
      title: 'Nothing listens on TCP [::1]:8080',
      causes: ['no-socket-tcp'],
      packets: 1,
      drops: [
        { reason: 'NO_SOCKET', location: 'tcp_v6_rcv', protocol: 0x86dd, interfaces: ['lo'] },
      ],
    },
  ]);
  expect(commands(report)).toContain("ss -lntp 'sport = :8080'");
  expect(report.verdict).toBe('ok');
});

// All four show the same traffic: datagrams and SYNs to closed ports, LLDP frames, AF_UNIX messages.
test.each(['perf-script.txt', 'perf-script-stack.txt', 'dropwatch-packet.txt'])(
  '%s: reason, function and protocol of each drop',
  async (name) => {
    const report = await importText(sample(name));
    expect(new Set(report.findings.map(({ causes }) => causes[0]))).toEqual(
      new Set(['l2-unhandled-proto', 'no-socket-tcp', 'no-socket-udp']),
    );
    const drops = report.findings.flatMap((finding) => finding.drops);
    expect(drops).toContainEqual(
      expect.objectContaining({
        reason: 'UNHANDLED_PROTO',
        location: '__netif_receive_skb_core',
        protocol: 0x88cc,
      }),
    );
    expect(report).toMatchObject({ verdict: 'ok', input: { reasons: true } });
  },
);

test('trace_pipe of 6.1: the kernel hashes addresses, so the reason alone judges', async () => {
  const report = await importText(sample('trace-pipe.txt'));
  expect(report.input.formats).toEqual(['trace_pipe']);
  expect(report.input.seconds).toBeCloseTo(0.367, 3);
  expect(report.unresolved).toEqual([]);
  expect(report.findings.map(({ judgement, packets }) => [judgement, packets])).toEqual([
    ['usually-harmless', 4],
    ['usually-harmless', 4],
    ['usually-harmless', 2],
  ]);
});

test('dropwatch without symbols: nothing is named, nothing is judged', async () => {
  const report = await importText(sample('dropwatch-addresses.txt'));
  expect(report.findings).toEqual([]);
  expect(report.totals).toMatchObject({ drops: 39, unresolved: 39 });
  // The core kernel or a module: on a kernel at a random address both lie there.
  expect(report.unresolved[0]).toEqual({
    address: '0xffffffffa7e730ae',
    area: 'unknown',
    packets: 25,
  });
  expect(report.verdict).toBe('unknown');
});

test('ip -s -s link: counters of each direction', async () => {
  const report = await importText(sample('ip-s-link.txt'));
  expect(report.history).toEqual([
    {
      interface: 'lo',
      rx: { packets: 0, errors: 0, dropped: 0, overruns: 0 },
      tx: { packets: 0, errors: 0, dropped: 0, overruns: 0 },
    },
    {
      interface: 'ib',
      rx: { packets: 213, errors: 0, dropped: 150, overruns: 0 },
      tx: { packets: 63, errors: 0, dropped: 0, overruns: 0 },
    },
  ]);
});

const names = readdirSync(new URL('../../samples/', import.meta.url));
const schema = JSON.parse(readFileSync('docs/import.schema.json', 'utf8')) as AnySchema;
const isValid = new Ajv({ allErrors: true }).compile(schema);

test.each(names)('%s: the same in a quoted mail with CRLF, after prose', async (name) => {
  const plain = await importText(sample(name));
  const quoted = sample(name)
    .split('\n')
    .map((line) => `> > ${line}\r\n`)
    .join('');
  const mailed = await importText(`Hello,\r\nwe see 3 drops at night:\r\n\r\n${quoted}\r\nBye\r\n`);
  const { input: _, ...reading } = plain;
  expect(mailed).toMatchObject(reading);
  expect(isValid(plain), JSON.stringify(isValid.errors)).toBe(true);
  const { drops, ...parts } = plain.totals;
  expect(Object.values(parts).reduce((sum, packets) => sum + packets, 0)).toBe(drops);
});

test('several outputs in one text are all read', async () => {
  const report = await importText(names.map(sample).join('\n'));
  expect(new Set(report.input.formats)).toEqual(
    new Set(['dropwatch', 'ip -s link', 'netstat -i', 'perf script', 'retis', 'trace_pipe']),
  );
  const each = await Promise.all(names.map(async (name) => importText(sample(name))));
  expect(report.totals.drops).toBe(each.reduce((sum, { totals }) => sum + totals.drops, 0));
});
