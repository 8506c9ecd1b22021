import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { NotText, readLines } from '../../../src/import/lines.ts';
import { parsePlace } from '../../../src/import/place.ts';
import { readOutput } from '../../../src/import/read.ts';
import { importText, sample, shown } from './import.ts';

test.each([
  ['__netif_receive_skb+49f', '__netif_receive_skb'],
  ['inet_csk_reset_xmit_timer.clone.1+265', 'inet_csk_reset_xmit_timer'],
  ['ip_rcv_finish_core.isra.0+0x1de/0x440', 'ip_rcv_finish_core'],
  ['net_tx_action+0', 'net_tx_action'],
  // Cut by the kernel at 39 characters, in the middle of the offset or of the size.
  ['__netif_receive_skb_core.constprop.0+0x', '__netif_receive_skb_core'],
  ['inet_csk_complete_hashdance_v+0x13e/0xd', 'inet_csk_complete_hashdance_v'],
])('%s is a function', (text, location) => {
  expect(parsePlace(text)).toEqual({ kind: 'function', location });
});

test('the last symbol before a module is not its name', () => {
  expect(parsePlace('__brk_limit+1e6c5938', '0xffffffffa0a1d938')).toEqual({
    kind: 'address',
    address: '0xffffffffa0a1d938',
    area: 'module',
    refuted: '__brk_limit+0x1e6c5938',
  });
  // Right above the end of a function.
  expect(parsePlace('ip_rcv+0x3cf/0x3d0')).toMatchObject({ location: 'ip_rcv' });
  expect(parsePlace('ip_rcv+0x3d0/0x3d0')).toMatchObject({ refuted: 'ip_rcv+0x3d0' });
  // An offset beyond any function, in the core: no module there.
  expect(parsePlace('_etext+20000', '0xffffffff82020000')).toMatchObject({ area: 'unknown' });
  expect(parsePlace('_etext+1ffff', '0xffffffff8201ffff')).toMatchObject({ location: '_etext' });
});

test.each([
  ['0xffffffff8147b4ef', 'core'],
  ['0xffffffffa7e730ae', 'unknown'],
  ['0xffffffffc06a1a68', 'module'],
  ['0xffff800010a1b2c3', 'unknown'],
  ['000000004229ee4d', 'hidden'],
  ['c0123456', 'unknown'],
])('%s lies in: %s', (address, area) => {
  expect(parsePlace(address)).toMatchObject({ kind: 'address', area });
});

test('an address in a module is said to be one, in the text too', async () => {
  const report = await importText('41 drops at __brk_limit+1e6c5938 (0xffffffffa0a1d938)\n');
  expect(report).toMatchObject({ verdict: 'unknown', findings: [], unexplained: [] });
  const text = await shown(report);
  expect(text).toMatch(/41 0xffffffffa0a1d938: in a kernel module or BPF program/);
  expect(text).toContain('awk \'$1 > "ffffffffa0a1d938"');
});

async function collect(lines: AsyncIterable<string>): Promise<string[]> {
  const all: string[] = [];
  for await (const line of lines) all.push(line);
  return all;
}

/** dropwatch lines of some functions. */
function dropwatch(drops: Readonly<Record<string, number>>): string {
  return Object.entries(drops)
    .map(([name, packets]) => `${packets} drops at ${name}+1c (0xffffffff8147b4ef) [software]\n`)
    .join('');
}

test('a loss is a warning from 20 packets on, and stands above what is normal', async () => {
  const some = await importText(dropwatch({ tcp_v4_rcv: 500, enqueue_to_backlog: 19 }));
  expect(some.verdict).toBe('ok');
  expect(await shown(some)).toMatch(/^OK: 19 of 519 drops may be lost traffic, too few to matter/);
  const many = await importText(dropwatch({ tcp_v4_rcv: 500, enqueue_to_backlog: 20 }));
  expect(many.verdict).toBe('warning');
  expect(many.findings.map(({ causes }) => causes[0])).toEqual([
    'softnet-backlog',
    'no-socket-tcp',
  ]);
  expect(many.notes.join()).not.toMatch(/retransmits/);
});

test('functions nobody knows are unexplained, and many of them a warning', async () => {
  const report = await importText(dropwatch({ foo_rcv: 20 }));
  expect(report.unexplained).toMatchObject([{ location: 'foo_rcv', packets: 20 }]);
  expect(report.verdict).toBe('warning');
  expect((await importText(dropwatch({ foo_rcv: 19 }))).verdict).toBe('ok');
});

const perf = (protocol: number, location: string, reason: string) =>
  `nc 1 [000] 1.000001: skb:kfree_skb: skbaddr=0xff rx_sk=(nil) protocol=${protocol} location=${location} reason: ${reason}\n`;

test.each([
  // An IPv4 packet always has a handler: something dropped it on purpose.
  [0x0800, '__netif_receive_skb_core+0x1', 'NOT_SPECIFIED', 'tc-ingress-drop', 'depends'],
  [
    0x88cc,
    '__netif_receive_skb_core+0x1',
    'NOT_SPECIFIED',
    'l2-unhandled-proto',
    'usually-harmless',
  ],
  [0x86dd, '__netif_receive_skb+0x1', 'NOT_SPECIFIED', 'ipv6-disabled', 'usually-harmless'],
  // An open port whose accept queue is full, not a closed one.
  [0x0800, 'cookie_v4_check+0x1', 'NO_SOCKET', 'tcp-listen-overflow', 'loss'],
  // The reason is a loss wherever it shows ...
  [0x0800, 'tcp_v4_rcv+0x1', 'TCP_CSUM', 'tcp-csum-error', 'loss'],
  [0x0800, 'udp_queue_rcv_one_skb+0x1', 'SOCKET_RCVBUFF', 'udp-rcvbuf-full', 'loss'],
  // ... except to an onlooker.
  [0x0800, 'raw_rcv+0x1', 'SOCKET_RCVBUFF', 'raw-or-packet-socket-full', 'usually-harmless'],
  [0x0800, 'nf_hook_slow+0x1', 'NETFILTER_DROP', 'nf-rule-drop', 'depends'],
  [0x0800, '0xffffffff81000000', 'IP_RPFILTER', 'ip-rpfilter', 'depends'],
])('%i at %s, %s: %s', async (protocol, location, reason, cause, judgement) => {
  const { findings } = await importText(perf(protocol, location, reason));
  expect(findings).toMatchObject([{ judgement }]);
  expect(findings[0]?.causes[0]).toBe(cause);
});

test('a location that only frees: the stack names who gave the packet up', async () => {
  const event = perf(2048, '0xffffffff816ea931', 'NOT_SPECIFIED');
  const stack = [
    'ffffffff816e9c9b kfree_skb+0x7b ([kernel.kallsyms])',
    'ffffffff816ea931 skb_release_data+0xb1 ([kernel.kallsyms])',
    'ffffffff816e9c12 __kfree_skb+0x12 ([kernel.kallsyms])',
    'ffffffff8176c4dc tcp_recvmsg+0x63c ([kernel.kallsyms])',
    '           f908d __GI___libc_connect (/usr/lib64/libc-2.17.so)',
  ];
  const report = await importText(`${event}\t${stack.join('\n\t')}\n\n`);
  expect(report.harmless).toMatchObject([{ drops: [{ location: 'tcp_recvmsg' }] }]);
  expect(report.input.understood).toBe(6);
});

test('a perf event that mail broke in two', async () => {
  const broken = perf(2048, 'tcp_v4_rcv+0x1', 'NO_SOCKET').replace(' protocol', '\n> protocol');
  expect((await importText(`> ${broken}`)).findings).toMatchObject([{ packets: 1 }]);
});

test('reasons without a name stay numbers, with their subsystem', async () => {
  const report = await importText(perf(2048, 'ieee80211_x+0x1', '0x10005'));
  expect(report.unexplained).toMatchObject([{ reason: 'subsystem 1 reason 5' }]);
});

test('dropwatch: drops in hardware are traps, not functions', async () => {
  const packet =
    'drop at: ttl_value_is_too_small (l3_exceptions)\norigin: hardware\nprotocol: 0x800\n';
  const report = await importText(`3 drops at ttl_value_is_too_small [hardware]\n${packet}\n`);
  expect(report.findings).toMatchObject([
    { packets: 4, confirm: [{ command: 'devlink -s trap show' }] },
  ]);
});

test('retis: many closed ports, segments of old connections, and other events between', async () => {
  const event = (flow: string) =>
    `10 (1) [nc] 1 [tp] skb:kfree_skb #1f (skb ff) n 2 drop (reason NO_SOCKET)\n    tcp_v4_rcv+0x77\n  ns 0x1/4026531833 if 2 (eth0) rxif 2\n  ${flow}\n`;
  const syn = (port: number) =>
    event(`10.0.0.1.40532 > 10.0.0.2.${port} tos 0x0 ttl 64 len 60 proto TCP (6) flags [S] seq 1`);
  const other =
    '  ↳ 11 (3) [nc] 0 [tp] net:netif_receive_skb #1f\n    10.9.9.9.1 > 10.9.9.8.2 ttl 64 proto TCP (6) flags [S]\n';
  const closed = await importText(`${syn(80)}${other}\n${syn(80)}\n${syn(443)}`);
  expect(closed.findings[0]).toMatchObject({
    title: 'Nothing listens on TCP 10.0.0.2:80 and 1 more',
    drops: [{ interfaces: ['eth0'], destinations: [{ port: 80, packets: 2 }, { port: 443 }] }],
  });
  const old = event(
    '10.0.0.1.40532 > 10.0.0.2.80 tos 0x0 ttl 64 len 60 proto TCP (6) flags [.] seq 1',
  );
  expect((await importText(syn(80) + old)).findings[0]?.title).not.toMatch(/listens on/);
});

test('two readings of an interface give a rise, which can be a warning', async () => {
  const reading = (ok: number, dropped: number) =>
    `Iface MTU RX-OK RX-ERR RX-DRP RX-OVR TX-OK TX-ERR TX-DRP TX-OVR Flg\neth0 1500 ${ok} 0 ${dropped} 0 9 0 0 0 BMRU\n\n`;
  const rising = await importText(reading(1000, 900) + reading(2000, 920));
  expect(rising.history[0]?.rise?.rx).toMatchObject({ packets: 1000, dropped: 20 });
  expect(rising.verdict).toBe('warning');
  expect((await importText(reading(1000, 900) + reading(2000, 919))).verdict).toBe('unknown');
  expect((await importText(reading(1000, 900) + reading(90_000, 920))).verdict).toBe('unknown');
  // Another machine, or a restart: no rise.
  expect(
    (await importText(reading(2000, 920) + reading(1000, 900))).history[0]?.rise,
  ).toBeUndefined();
  expect((await importText(reading(1000, 0))).verdict).toBe('ok');
});

test('prose, prompts and other tools give nothing', async () => {
  const { tally, formats } = await readOutput([
    Buffer.from('3 drops at night\n$ ls -l\ndrop at: home\n1: lo: <UP> mtu 65536\nTotal 5\n'),
  ]);
  expect(tally.kinds).toEqual([]);
  expect(tally.history).toEqual([]);
  expect(formats).not.toContain('perf script');
});

test('names from the input cannot act on a terminal', async () => {
  const hostile = `${perf(2048, 'tcp_v4_rcv+0x1', 'NO\u009b31m_X\u202e')}${perf(2048, 'foo+0x1', '\u001b]0;x\u0007Y')}`;
  const text = await shown(await importText(hostile));
  expect(text).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
});

test('lines, in chunks of any size', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.string({ unit: 'binary' }).map((line) => line.replaceAll(/[\n\r\0\u001b>]/g, '').trim()),
      ),
      fc.integer({ min: 1, max: 20 }),
      async (lines, size) => {
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
        const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
          bytes.subarray(index * size, (index + 1) * size),
        );
        expect(await collect(readLines(chunks))).toEqual(
          // A byte order mark in front is not part of the text.
          lines.map((line, index) => (index === 0 ? line.replace(/^\ufeff/, '') : line)),
        );
      },
    ),
  );
});

test.each([
  ['PERFILE2', /perf script -i/],
  ['\u001f\u008b\u0008', /zcat/],
  ['\u00ff\u00feI\0f\0', /iconv/],
])('%j is no text, and it is said what to do', async (start, hint) => {
  const failure: unknown = await collect(readLines([Buffer.from(start, 'latin1')])).catch(
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(NotText);
  expect((failure as NotText).hint).toMatch(hint);
});

/** Pieces of real output, cut and mixed, with garbage. */
const pieces = [
  'dropwatch-packet.txt',
  'perf-script-stack.txt',
  'retis-dropmon.txt',
  'ip-s-link.txt',
  'netstat-i.txt',
]
  .flatMap((name) => sample(name).split('\n'))
  .flatMap((line) => [line, line.slice(0, line.length / 2), line.slice(line.length / 3)]);

test('garbage never throws, and every packet is counted once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(fc.constantFrom(...pieces), fc.string({ unit: 'binary' }))),
      async (lines) => {
        const report = await importText(lines.join('\n').replaceAll('\0', ''));
        const { drops, ...parts } = report.totals;
        expect(Object.values(parts).reduce((sum, packets) => sum + packets, 0)).toBe(drops);
        await shown(report);
      },
    ),
  );
});

test('memory is bounded: more kinds than are kept apart are still counted', async () => {
  const names = Array.from({ length: 6000 }, (_, index) => [`f${index}`, 2] as const);
  const report = await importText(dropwatch(Object.fromEntries(names)));
  expect(report.totals.drops).toBe(12_000);
  expect(report.unexplained).toHaveLength(5000);
  expect(report.notes).toEqual([expect.stringMatching(/^2000 of the unexplained drops/)]);
});
