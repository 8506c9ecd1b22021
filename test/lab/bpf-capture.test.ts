import { readdir, readFile, stat } from 'node:fs/promises';
import { afterEach, expect, test } from 'vitest';
import { startBpfCapture, type BpfCaptureOptions } from '../../src/capture/bpf/capture.ts';
import { EtherType, type DropCapture, type DropCount } from '../../src/model/drops.ts';
import { start } from './command.ts';
import { CleanUp, inside, makePair, RECEIVER, SENDER, type Pair } from './network.ts';
import { labMissing } from './requirements.ts';
import { receiveUdp, sendUdp } from './traffic.ts';

const missing = await labMissing();
const cleanUp = new CleanUp();
afterEach(() => cleanUp.run());

async function cable(): Promise<Pair> {
  const pair = await makePair();
  cleanUp.add(() => pair.cleanUp.run());
  return pair;
}

async function inodeOf(netns: string): Promise<number> {
  return (await stat(`/run/netns/${netns}`)).ino;
}

/** What the capture sees of some traffic. */
async function captured(
  traffic: () => Promise<unknown>,
  options?: BpfCaptureOptions,
): Promise<DropCapture> {
  const capture = await startBpfCapture(options);
  if (capture.status !== 'ok') throw new Error(capture.reason);
  cleanUp.add(() => capture.value.stop());
  capture.value.mark('window-open');
  await traffic();
  capture.value.mark('window-close');
  const drops = await capture.value.stop();
  if (drops.status !== 'ok') throw new Error(drops.reason);
  expect(drops.notes ?? []).toEqual([]);
  return drops.value;
}

/** The drops of one namespace with a reason, in the order of packets. */
function dropsOf(capture: DropCapture, netns: number, reason: string): readonly DropCount[] {
  return capture.drops.filter((drop) => drop.details?.netns === netns && drop.reason === reason);
}

async function dropPort(netns: string, port: number): Promise<void> {
  await inside(
    netns,
    'nft -f -',
    `table inet t { chain i { type filter hook input priority 0; udp dport ${port} counter drop;\n}\n}`,
  );
}

async function dropped(netns: string): Promise<number> {
  return Number(/counter packets (\d+)/.exec(await inside(netns, 'nft list chain inet t i'))?.[1]);
}

test.skipIf(missing !== null)(
  'a storm is counted to the packet, in and out of the window',
  async () => {
    const { a, b } = await cable();
    await dropPort(b, 5000);
    const storm = { from: a, to: RECEIVER, port: 5000, perSecond: 0 };
    const capture = await startBpfCapture();
    if (capture.status !== 'ok') throw new Error(capture.reason);
    cleanUp.add(() => capture.value.stop());
    await sendUdp({ ...storm, packets: 10 });
    capture.value.mark('window-open');
    await Promise.all([
      sendUdp({ ...storm, packets: 150_000, cpu: 0 }),
      sendUdp({ ...storm, packets: 150_000, cpu: 1 }),
    ]);
    capture.value.mark('window-close');
    await sendUdp({ ...storm, packets: 7 });
    const drops = await capture.value.stop();
    if (drops.status !== 'ok') throw new Error(drops.reason);

    const inodes = [await inodeOf(a), await inodeOf(b)];
    const [drop, ...others] = dropsOf(drops.value, inodes[1] ?? 0, 'NETFILTER_DROP');
    expect(others).toEqual([]);
    expect(drop).toMatchObject({ packets: 300_017, edgePackets: 17, protocol: EtherType.IPv4 });
    expect(drop?.packets).toBe(await dropped(b));
    expect(drop?.details).toMatchObject({
      interface: 'vb',
      ipProtocol: 17,
      flowsApproximate: true,
    });
    expect(drop?.details?.topFlows[0]).toMatchObject({
      source: SENDER,
      destination: RECEIVER,
      ports: { destination: 5000 },
    });
    expect(drop?.details?.samples.length).toBeGreaterThan(0);
    expect(drop?.details?.stack).toContain('ip_local_deliver');
    expect(drops.value.lost).toBe(0);
  },
);

/** Raw IPv4: each packet from an address and port of its own, but for each eleventh. */
const RANDOM_SOURCES = `
use strict; use Socket;
my ($to, $port, $first, $last) = @ARGV;
socket(my $s, PF_INET, SOCK_RAW, 255) or die $!;
my $address = sockaddr_in(0, inet_aton($to));
my $rest = inet_aton($to);
my $busy = pack('CCnnnCCnNa4nnnna20', 0x45, 0, 48, 0, 0, 64, 17, 0, 0x0b010203, $rest, 777, $port, 28, 0, '');
for my $i ($first .. $last) {
  my $source = 0x0c000000 + ($i * 2654435761 & 0xffffff);
  send($s, pack('CCnnnCCnNa4nnnna20', 0x45, 0, 48, 0, 0, 64, 17, 0, $source, $rest, 1024 + $i % 60000, $port, 28, 0, ''), 0, $address) or die $!;
  if ($i % 10 == 0) { send($s, $busy, 0, $address) or die $! }
}
`;

test.skipIf(missing !== null)(
  'a million sources: totals to the packet, memory bounded, the busiest flow on top',
  async () => {
    const { a, b } = await cable();
    await dropPort(b, 5000);
    await inside(b, 'sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.vb.rp_filter=0');
    await inside(b, `ip route add default via ${SENDER}`);
    const memory: number[] = [];
    const capture = await captured(async () => {
      memory.push(await bpfMapBytes());
      await Promise.all(
        [0, 1].map((half) => {
          const range = [half * 500_000 + 1, (half + 1) * 500_000].map(String);
          const perl = ['perl', '-e', RANDOM_SOURCES, RECEIVER, '5000', ...range];
          return start('ip', ['netns', 'exec', a, ...perl]);
        }),
      );
      memory.push(await bpfMapBytes());
    });
    const [drop] = dropsOf(capture, await inodeOf(b), 'NETFILTER_DROP');
    expect(drop?.packets).toBe(1_100_000);
    expect(drop?.packets).toBe(await dropped(b));
    expect(memory[0]).toBeGreaterThan(0);
    expect(memory[1]).toBe(memory[0]);
    expect(drop?.details?.flowsApproximate).toBe(true);
    const [top] = drop?.details?.topFlows ?? [];
    expect(top).toMatchObject({ source: '11.1.2.3', ports: { source: 777, destination: 5000 } });
    // One packet in some 128 is looked at; what is seen of a flow is multiplied.
    expect(top?.packets).toBeGreaterThan(80_000);
    expect(top?.packets).toBeLessThan(120_000);
  },
);

/** What the kernel holds for the BPF maps of this process. */
async function bpfMapBytes(): Promise<number> {
  let sum = 0;
  for (const fd of await readdir('/proc/self/fdinfo')) {
    // The one that lists the folder is gone.
    const info = await readFile(`/proc/self/fdinfo/${fd}`, 'utf8').catch(() => '');
    if (info.includes('map_type:')) sum += Number(/^memlock:\s+(\d+)$/m.exec(info)?.[1]);
  }
  return sum;
}

test.skipIf(missing !== null)('a small storm has exact flows', async () => {
  const { a, b } = await cable();
  await dropPort(b, 5000);
  const capture = await captured(() =>
    sendUdp({ from: a, to: RECEIVER, port: 5000, packets: 1200, perSecond: 0, flows: 120 }),
  );
  const [drop] = dropsOf(capture, await inodeOf(b), 'NETFILTER_DROP');
  expect(drop?.details).toMatchObject({ flowCount: 120, flowsApproximate: false });
  expect(drop?.details?.topFlows.map(({ packets }) => packets)).toEqual(Array(10).fill(10));
});

test.skipIf(missing !== null)('a full socket is known by its inode number', async () => {
  const { a, b } = await cable();
  const receiver = await receiveUdp(b, 7000, 'stuck', 4096);
  cleanUp.add(() => receiver.stop());
  const capture = await captured(() =>
    sendUdp({ from: a, to: RECEIVER, port: 7000, packets: 200, perSecond: 0 }),
  );
  const [drop] = dropsOf(capture, await inodeOf(b), 'SOCKET_RCVBUFF');
  const sockets = await inside(b, `find /proc/${receiver.pid}/fd -lname socket:* -printf %l`);
  expect(sockets).toContain(`socket:[${drop?.details?.topFlows[0]?.socket}]`);
});

test.skipIf(missing !== null)('the kernel selects by namespace', async () => {
  const [one, two] = [await cable(), await cable()];
  const inode = await inodeOf(one.b);
  const capture = await captured(
    async () => {
      for (const { a } of [one, two]) {
        await sendUdp({ from: a, to: RECEIVER, port: 9, packets: 50, perSecond: 0 });
      }
    },
    { netns: inode },
  );
  expect(dropsOf(capture, inode, 'NO_SOCKET')[0]?.packets).toBe(50);
  expect(
    capture.drops.filter((drop) => ![inode, null].includes(drop.details?.netns ?? null)),
  ).toEqual([]);
  expect(capture.unselected).toBeGreaterThanOrEqual(50);
});
