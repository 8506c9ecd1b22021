import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { run } from './command.ts';
import { inside, macOf, makePair, RECEIVER, SENDER } from './network.ts';
import { labMissing } from './requirements.ts';
import { sendFrames, sendUdp } from './traffic.ts';
import { whydrop } from './whydrop.ts';

const missing = await labMissing();

/** In each table one chain that drops what meets a rule. */
const RULES = [
  'table inet in { chain c { type filter hook input priority 0; udp dport 5000 counter drop',
  'table inet out { chain c { type filter hook output priority 0; udp dport 6000 counter drop',
  'table arp out { chain c { type filter hook output priority 0; counter drop',
  'table netdev in { chain c { type filter hook ingress device vb priority 0; vlan id 100 counter drop',
].map((rule) => `${rule}\n}\n}\n`);

test.skipIf(missing !== null)(
  '--pcap: packets with their cause, as tshark reads them',
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'whydrop-lab-'));
    onTestFinished(() => rm(directory, { recursive: true }));
    const { a, b, cleanUp } = await makePair();
    onTestFinished(() => cleanUp.run());
    await inside(b, 'nft -f -', RULES.join(''));
    const frame = `${await macOf(b, 'vb')}${await macOf(a, 'va')}`.replaceAll(':', '');
    const ipv4 = '4500001c0000000040116659' + '0a4d00010a4d0002' + '03e813ec00080000';

    const file = join(directory, 'dropped.pcapng');
    const args = ['--capture', 'bpf', '-n', b, '-d', '2s', '--pcap', file];
    const report = whydrop(['report', '--verbose', '--fail-on', 'never', ...args]);
    await report.watching;
    // The first few of a kind are kept, so those that are one of their kind come first.
    await Promise.all([
      sendUdp({ from: b, to: SENDER, port: 6000, packets: 1, perSecond: 0 }),
      sendUdp({ from: b, to: '127.0.0.1', port: 9, packets: 1, perSecond: 0 }),
      sendUdp({ from: b, to: '10.77.0.99', port: 9, packets: 1, perSecond: 0 }),
      sendFrames(a, 'va', 1, `${frame}810000640800${ipv4}${'00'.repeat(18)}`),
    ]);
    await sendUdp({ from: a, to: RECEIVER, port: 5000, packets: 40, perSecond: 0, bytes: 300 });
    const { exitCode, stderr } = await report.done;
    expect(exitCode, stderr).toBe(0);
    expect(stderr).toMatch(/^Wrote a sample of \d+ dropped packets to .*It holds user data\.$/m);
    expect((await stat(file)).mode & 0o777).toBe(0o600);

    const packets = await readWithTshark(file);
    const on = (name: string) => ({
      'frame.interface_name': name,
      'frame.interface_description': `network namespace ${b}`,
    });
    const ruleDrops = (tail: string) =>
      expect.stringMatching(
        new RegExp(
          `^cause nf-rule-drop: [^\\\\]+\\\\nNETFILTER_DROP @ nft_do_chain.*\\\\nnamespace ${b}, interface ${tail}$`,
        ),
      );
    const udp = (from: string, to: string, port: string) => ({
      'ip.src': from,
      'ip.dst': to,
      'udp.dstport': port,
    });

    const refused = packets.filter((packet) => packet['udp.dstport'] === '5000');
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThan(10);
    expect(refused[0]).toEqual({
      ...on('vb'),
      ...udp(SENDER, RECEIVER, '5000'),
      'frame.protocols': 'eth:ethertype:ip:udp:data',
      'frame.len': '342',
      'frame.cap_len': '128',
      'vlan.id': '',
      'frame.comment': ruleDrops('vb'),
    });
    // Refused before it had a link header, with the tag still beside it, or without being IP.
    expect(packets).toContainEqual({
      ...on('vb'),
      ...udp(RECEIVER, SENDER, '6000'),
      'frame.protocols': 'raw:ip:udp:data',
      'frame.len': '128',
      'frame.cap_len': '128',
      'vlan.id': '',
      'frame.comment': ruleDrops('vb'),
    });
    expect(packets).toContainEqual({
      ...on('vb'),
      ...udp(SENDER, RECEIVER, '5100'),
      'frame.protocols': 'eth:ethertype:vlan:ethertype:ip:udp',
      'frame.len': '64',
      'frame.cap_len': '64',
      'vlan.id': '100',
      'frame.comment': ruleDrops('vb, VLAN 100'),
    });
    expect(packets).toContainEqual(
      expect.objectContaining({
        ...on('vb'),
        'frame.protocols': 'sll:ethertype:arp',
        'frame.comment': ruleDrops('vb'),
      }),
    );
    expect(packets).toContainEqual(
      expect.objectContaining({
        ...on('lo'),
        ...udp('127.0.0.1', '127.0.0.1', '9'),
        'frame.comment': expect.stringMatching(/^harmless no-socket-udp: /),
      }),
    );
  },
);

const FIELDS = [
  'frame.interface_name',
  'frame.interface_description',
  'frame.protocols',
  'frame.len',
  'frame.cap_len',
  'vlan.id',
  'ip.src',
  'ip.dst',
  'udp.dstport',
  'frame.comment',
] as const;

async function readWithTshark(file: string): Promise<readonly Record<string, string>[]> {
  const fields = FIELDS.map((field) => `-e ${field}`).join(' ');
  const lines = await run(`tshark -n -r ${file} -T fields ${fields}`);
  return lines
    .split('\n')
    .map((line) => line.split('\t'))
    .map((values) => Object.fromEntries(FIELDS.map((field, at) => [field, values[at] ?? ''])));
}
