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
    const ipv4 = '4500001c00000000401166590a4d00010a4d000203e813ec00080000';

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
    expect(stderr).toMatch(/^Wrote \d+ of \d+ dropped packets to .*It holds user data\.$/m);
    expect((await stat(file)).mode & 0o777).toBe(0o600);

    const packets = await readWithTshark(file);
    const refused = (where: string): string =>
      `cause nf-rule-drop: A firewall rule or policy drops packets\\nNETFILTER_DROP @ nft_do_chain\\nnamespace ${b}, ${where}`;
    const description = `network namespace ${b}`;
    const common = { name: 'vb', description, vlan: '', comment: refused('interface vb') };

    const storm = packets.filter(({ port }) => port === '5000');
    expect(storm.length).toBeGreaterThan(0);
    expect(storm.length).toBeLessThan(10);
    expect(storm[0]).toEqual({
      ...common,
      protocols: 'eth:ethertype:ip:udp:data',
      length: '342',
      captured: '128',
      source: SENDER,
      destination: RECEIVER,
      port: '5000',
    });
    // Refused before it had a link header; with the tag still beside it; without being IP.
    expect(packets).toContainEqual({
      ...common,
      protocols: 'raw:ip:udp:data',
      length: '128',
      captured: '128',
      source: RECEIVER,
      destination: SENDER,
      port: '6000',
    });
    expect(packets).toContainEqual({
      ...common,
      protocols: 'eth:ethertype:vlan:ethertype:ip:udp',
      length: '64',
      captured: '64',
      vlan: '100',
      source: SENDER,
      destination: RECEIVER,
      port: '5100',
      comment: refused('interface vb, VLAN 100'),
    });
    expect(packets).toContainEqual({
      ...common,
      protocols: 'sll:ethertype:arp',
      length: '44',
      captured: '44',
      source: '',
      destination: '',
      port: '',
    });
    const answered = packets.find(({ port }) => port === '9');
    expect(answered).toMatchObject({ name: 'lo', description, destination: '127.0.0.1' });
    expect(answered?.comment).toMatch(/^harmless no-socket-udp: /);
  },
);

const FIELDS = {
  name: 'frame.interface_name',
  description: 'frame.interface_description',
  protocols: 'frame.protocols',
  length: 'frame.len',
  captured: 'frame.cap_len',
  vlan: 'vlan.id',
  source: 'ip.src',
  destination: 'ip.dst',
  port: 'udp.dstport',
  comment: 'frame.comment',
} as const;
type Fields = Readonly<Record<keyof typeof FIELDS, string>>;

async function readWithTshark(file: string): Promise<readonly Fields[]> {
  const fields = Object.values(FIELDS).map((field) => `-e ${field}`);
  const lines = await run(`tshark -n -r ${file} -T fields ${fields.join(' ')}`);
  return lines.split('\n').map((line) => {
    // Where nftables is a module, the place names it.
    const values = line.replace(' [nf_tables]', '').split('\t');
    return Object.fromEntries(
      Object.keys(FIELDS).map((name, at) => [name, values[at] ?? '']),
    ) as Fields;
  });
}
