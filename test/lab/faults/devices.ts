import { start } from '../command.ts';
import type { Fault } from '../fault.ts';
import { frameAddresses, inside, RECEIVER, SENDER, type Pair } from '../network.ts';
import { ipv4 } from '../packets.ts';
import { PORT, sendFrames, sendUdp, steady } from '../traffic.ts';

async function statistic(netns: string, name: string, counter: string): Promise<number> {
  return Number(await inside(netns, `cat /sys/class/net/${name}/statistics/${counter}`));
}

async function otherhost(netns: string): Promise<number> {
  const text = await inside(netns, 'ip -j -s -s link show vb');
  const [link] = JSON.parse(text) as { stats64: { rx: { otherhost?: number } } }[];
  return link?.stats64.rx.otherhost ?? 0;
}

/** From the namespace under diagnosis. */
function outward({ b }: Pair, to: string, bytes = 100): Promise<number> {
  return sendUdp({ from: b, to, port: PORT, packets: 200, perSecond: 200, bytes });
}

/** The kernel's own announcements of IPv6 would be among what the devices count. */
async function withoutIpv6(...namespaces: readonly string[]): Promise<void> {
  for (const netns of namespaces) {
    for (const which of ['all', 'default']) {
      await inside(netns, `sysctl -qw net.ipv6.conf.${which}.disable_ipv6=1`);
    }
  }
}

/** Makes a network behind a device, with one neighbour that is known. */
async function behind(netns: string, device: string): Promise<void> {
  await inside(netns, `ip link set ${device} up`);
  await inside(netns, `ip addr add 10.78.0.1/24 dev ${device}`);
  await inside(
    netns,
    `ip neigh add ${BEHIND} dev ${device} lladdr 02:00:00:00:00:09 nud permanent`,
  );
}

const BEHIND = '10.78.0.2';
/** A host that is on no port of the bridge. */
const NOBODY = '10.77.0.3';
const NOBODYS_MAC = '02:00:00:00:00:33';

/** The receiver's cable ends in a bridge, which has a second port with nobody on it. */
async function bridge({ a, b }: Pair): Promise<void> {
  await withoutIpv6(a, b);
  await inside(a, `ip neigh add ${NOBODY} dev va lladdr ${NOBODYS_MAC} nud permanent`);
  await inside(b, 'ip link add br0 type bridge mcast_snooping 0');
  await inside(b, 'ip link add port type veth peer name port-end');
  for (const port of ['vb', 'port']) await inside(b, `ip link set ${port} master br0`);
  for (const name of ['br0', 'port', 'port-end']) await inside(b, `ip link set ${name} up`);
  // Otherwise a timer opens a port that is closed by hand.
  await inside(b, 'ip link set br0 type bridge forward_delay 0');
}

/** Every interface is in this group. */
const ALL_HOSTS = '224.0.0.1';

const toNobody = ({ a }: Pair): Promise<number> =>
  sendUdp({ from: a, to: NOBODY, port: PORT, packets: 200, perSecond: 200 });

/** Frames that came in and did not leave by the other port, nor to the host. */
async function notBridged({ b }: Pair): Promise<number> {
  const [received, passed, taken] = await Promise.all([
    statistic(b, 'vb', 'rx_packets'),
    statistic(b, 'port', 'tx_packets'),
    statistic(b, 'br0', 'rx_packets'),
  ]);
  return received - passed - taken;
}

/** Opens a tap device and never reads. */
const TAP = `
open(my $tun, '+<', '/dev/net/tun') or die $!;
my $request = pack('a16 S x22', 'tap0', 0x1002);
ioctl($tun, 0x400454ca, $request) or die $!;
$| = 1; print "ready\\n"; sleep 100;
`;

async function tapThatNobodyReads(pair: Pair): Promise<void> {
  await withoutIpv6(pair.b);
  const child = start('ip', ['netns', 'exec', pair.b, 'perl', '-e', TAP]);
  pair.cleanUp.add(async () => {
    child.kill('SIGKILL');
    await child;
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', () => reject(new Error('no tap device')));
  });
  await inside(pair.b, 'ip link set tap0 txqueuelen 10');
  await behind(pair.b, 'tap0');
  // The ring is full before the window opens.
  await sendUdp({ from: pair.b, to: BEHIND, port: PORT, packets: 20, perSecond: 0 });
}

async function isolatedPorts(pair: Pair): Promise<void> {
  await bridge(pair);
  for (const port of ['vb', 'port'])
    await inside(pair.b, `bridge link set dev ${port} isolated on`);
}

export default [
  {
    name: 'a program that does not read its tap device',
    cause: 'tun-tap-queue-full',
    confidence: 'certain',
    interface: 'tap0',
    scope: { interface: 'tap0' },
    setUp: tapThatNobodyReads,
    traffic: (pair) => outward(pair, BEHIND),
    lost: ({ b }) => statistic(b, 'tap0', 'tx_dropped'),
  },
  {
    name: 'the other end of a veth pair has a smaller MTU',
    cause: 'veth-peer',
    confidence: 'likely',
    scope: { interface: 'vb' },
    setUp: ({ a }) => inside(a, 'ip link set va mtu 1000'),
    traffic: (pair) => outward(pair, SENDER, 1300),
    lost: ({ a }) => statistic(a, 'va', 'rx_dropped'),
  },
  {
    name: 'a VXLAN without another end',
    cause: 'vxlan-misconfig',
    confidence: 'certain',
    interface: 'vx0',
    scope: { interface: 'vx0' },
    async setUp(pair) {
      await withoutIpv6(pair.b);
      await inside(pair.b, `ip link add vx0 type vxlan id 42 dstport 4789 local ${RECEIVER}`);
      await behind(pair.b, 'vx0');
    },
    traffic: (pair) => outward(pair, BEHIND),
    lost: ({ b }) => statistic(b, 'vx0', 'tx_dropped'),
  },
  {
    name: 'VXLAN packets of a network that is not here',
    cause: 'vxlan-misconfig',
    confidence: 'certain',
    alone: 'tracefs knows it by its drops alone',
    async setUp({ a, b }) {
      await withoutIpv6(a, b);
      await inside(b, `ip link add vx0 type vxlan id 42 dstport 4789 remote ${SENDER}`);
      await inside(b, 'ip link set vx0 up');
      await inside(a, `ip link add vx0 type vxlan id 43 dstport 4789 remote ${RECEIVER}`);
      await behind(a, 'vx0');
    },
    traffic: ({ a }) => sendUdp({ from: a, to: BEHIND, port: PORT, packets: 200, perSecond: 200 }),
    lost: ({ a }) => statistic(a, 'vx0', 'tx_packets'),
  },
  {
    name: 'a bridge port that is closed',
    cause: 'bridge-stp-blocked',
    confidence: 'certain',
    scope: { interface: 'vb' },
    async setUp(pair) {
      await bridge(pair);
      await inside(pair.b, 'bridge link set dev vb state 0');
    },
    traffic: (pair) => steady(pair),
    lost: ({ b }) => statistic(b, 'vb', 'rx_packets'),
  },
  {
    name: 'bridge ports that are isolated from each other',
    cause: 'bridge-no-target',
    confidence: 'likely',
    alone: 'tracefs knows it by its drops alone',
    setUp: isolatedPorts,
    traffic: toNobody,
    lost: notBridged,
  },
  {
    name: 'isolated bridge ports, and an address that the bridge knows',
    cause: 'bridge-no-target',
    confidence: 'likely',
    alone: 'tracefs knows it by its drops alone',
    scope: { interface: 'vb' },
    async setUp(pair) {
      await isolatedPorts(pair);
      await inside(pair.b, `bridge fdb add ${NOBODYS_MAC} dev port master static`);
    },
    traffic: toNobody,
    lost: notBridged,
  },
  {
    name: 'a bridge port that takes only known sources',
    cause: 'bridge-no-target',
    confidence: 'likely',
    scope: { interface: 'vb' },
    async setUp(pair) {
      await bridge(pair);
      await inside(pair.b, 'bridge link set dev vb learning off locked on');
      await inside(pair.b, 'bridge fdb flush dev br0 dynamic');
    },
    traffic: toNobody,
    lost: notBridged,
  },
  {
    name: 'a bridge port with a smaller MTU',
    cause: 'bridge-no-target',
    confidence: 'likely',
    interface: 'port',
    scope: { interface: 'port' },
    async setUp(pair) {
      await bridge(pair);
      for (const end of ['port', 'port-end']) await inside(pair.b, `ip link set ${end} mtu 1000`);
    },
    traffic: ({ a }) =>
      sendUdp({ from: a, to: NOBODY, port: PORT, packets: 200, perSecond: 200, bytes: 1300 }),
    lost: notBridged,
  },
  {
    name: 'a bridge whose frames meet a policy of iptables for routed packets',
    cause: 'bridge-netfilter',
    confidence: { bpf: 'certain', tracefs: 'likely' },
    interface: 'port',
    scope: { rule: 'iptables-legacy -t filter -P FORWARD DROP' },
    async setUp(pair) {
      await bridge(pair);
      await inside(pair.b, 'iptables-legacy -P FORWARD DROP');
    },
    traffic: toNobody,
    lost: notBridged,
  },
  {
    name: 'a source address that no host can have',
    cause: 'bridge-loop-or-bad-mac',
    confidence: { bpf: 'certain', tracefs: 'possible' },
    alone: 'tracefs knows it by its drops alone',
    setUp: bridge,
    async traffic(pair) {
      const to = (await frameAddresses(pair)).slice(0, 12);
      await sendFrames(pair.a, 'va', 200, `${to}01005e0000010800${'00'.repeat(46)}`);
    },
    lost: notBridged,
  },
  {
    name: 'more multicasts than macvlans may keep waiting',
    cause: 'macvlan-broadcast-queue',
    confidence: 'likely',
    scope: { interface: 'vb' },
    async setUp({ a, b }) {
      await inside(a, `ip route add ${ALL_HOSTS}/32 dev va`);
      // What only one of them wants would not wait (bccutoff).
      for (const name of ['mv0', 'mv1']) {
        await inside(b, `ip link add ${name} link vb type macvlan mode bridge bcqueuelen 1`);
        await inside(b, `ip link set ${name} up`);
      }
    },
    traffic: ({ a }) =>
      sendUdp({ from: a, to: ALL_HOSTS, port: PORT, packets: 5000, perSecond: 0 }),
    lost: ({ b }) => statistic(b, 'vb', 'rx_dropped'),
  },
  {
    name: 'frames of a VLAN for which there is no interface',
    cause: 'vlan-no-device',
    confidence: 'likely',
    // Tracefs shows no frames: for another host or another VLAN, it cannot tell.
    captures: ['bpf'],
    scope: { interface: 'vb' },
    async traffic(pair) {
      const datagram = `4500002e000000004011665c0a4d00010a4d0002${'00'.repeat(26)}`;
      await sendFrames(pair.a, 'va', 200, `${await frameAddresses(pair)}810000640800${datagram}`);
    },
    lost: ({ b }) => otherhost(b),
  },
  {
    name: 'frames of a VLAN without an interface, beside frames for other hosts while a capture runs',
    cause: 'vlan-no-device',
    confidence: 'likely',
    captures: ['bpf'],
    scope: { interface: 'vb' },
    setUp: ({ b }) => inside(b, 'ip link set vb promisc on'),
    async traffic(pair) {
      const addresses = await frameAddresses(pair);
      const forOther = `020000000099${addresses.slice(12)}`;
      await sendFrames(
        pair.a,
        'va',
        400,
        `${addresses}81000064${ipv4({ source: SENDER, destination: RECEIVER })}`,
        `${forOther}${ipv4({ source: SENDER, destination: '10.77.0.9' })}`,
      );
    },
    lost: async ({ b }) => (await otherhost(b)) / 2,
  },
] satisfies readonly Fault[];
