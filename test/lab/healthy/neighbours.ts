import { start } from '../command.ts';
import { nstat } from '../counters.ts';
import { CHATTER, HTTP_SERVER, MDNS_LISTENER } from '../healthy-programs.ts';
import {
  client,
  httpRequests,
  rxPackets,
  server,
  SHORT_MS,
  TRAFFIC_MS,
} from '../healthy-traffic.ts';
import { inside, macOf, makePair, RECEIVER, SENDER, type Pair } from '../network.ts';
import { ipv4, ipv6 } from '../packets.ts';
import { sendFrames, sendUdp } from '../traffic.ts';
import type { Done, Workload } from '../workload.ts';

/** LLDP, LACP, PTP, spanning tree and CDP as a switch sends them, without source address and padding. */
const SWITCH_FRAMES = [
  { to: '0180c200000e', rest: '88cc0207040102030405060403020701060200780000' },
  { to: '0180c2000002', rest: '88090101' },
  { to: '011b19000000', rest: '88f70002' },
  { to: '0180c2000000', rest: '002642420300000000008000' },
  { to: '01000ccccccc', rest: '0030aaaa0300000c200002b4' },
];
const SWITCH_ROUNDS = 50;

async function switchChatter({ a, b }: Pair): Promise<Done> {
  const before = await rxPackets(b, 'vb');
  const from = (await macOf(a, 'va')).replaceAll(':', '');
  for (const { to, rest } of SWITCH_FRAMES) {
    await sendFrames(a, 'va', SWITCH_ROUNDS, `${to}${from}${rest}${'00'.repeat(46)}`);
  }
  const count = (await rxPackets(b, 'vb')) - before;
  return { count, what: 'frames received', atLeast: SWITCH_FRAMES.length * SWITCH_ROUNDS };
}

const ROUTER = 'fe800000000000000000000000000001';
const ALL_NODES = 'ff020000000000000000000000000001';
const HOST = 'fd000000000000000000000000000002';
const IPV6_ROUNDS = 100;

/** A router announces itself, somebody asks for this host's address, and somebody tries IPv6 first. */
const IPV6_FRAMES = [
  {
    to: '333300000001',
    packet: { destination: ALL_NODES, hopLimit: 255, nextHeader: 58, payload: '8600000040000708' },
  },
  {
    to: '3333ff000002',
    packet: {
      destination: 'ff0200000000000000000001ff000002',
      hopLimit: 255,
      nextHeader: 58,
      payload: `8700000000000000${HOST}`,
    },
  },
  {
    to: 'receiver',
    packet: {
      destination: HOST,
      nextHeader: 6,
      payload: `c3501f90${'00'.repeat(8)}5002faf000000000`,
    },
  },
];

async function ipv6Chatter(pair: Pair): Promise<readonly Done[]> {
  const { a, b } = pair;
  const [sender, receiver] = [await macOf(a, 'va'), await macOf(b, 'vb')];
  const frames = IPV6_FRAMES.map(({ to, packet }) =>
    `${to === 'receiver' ? receiver : to}${sender}${ipv6({ source: ROUTER, ...packet })}`.replaceAll(
      ':',
      '',
    ),
  );
  const before = await nstat(b, 'Ip6InDiscards');
  const [http] = await Promise.all([
    httpRequests(pair, SHORT_MS),
    client(a, 'node', CHATTER, SENDER, '10.77.0.255', SHORT_MS),
    sendFrames(a, 'va', IPV6_ROUNDS * frames.length, ...frames),
  ]);
  const count = (await nstat(b, 'Ip6InDiscards')) - before;
  return [http, { count, what: 'IPv6 packets refused', atLeast: IPV6_ROUNDS * frames.length }];
}

/** A promiscuous capture that ends at so many frames. @returns how many it got, once it has begun */
async function startCapture(netns: string, frames: number, filter: string) {
  const tcpdump = `timeout 10 tcpdump -i vb -c ${frames} --immediate-mode -w /dev/null`.split(' ');
  const child = start('ip', ['netns', 'exec', netns, ...tcpdump, filter]);
  await new Promise<void>((resolve, reject) => {
    child.stderr.once('data', () => resolve());
    child.once('exit', () => reject(new Error('tcpdump did not start')));
  });
  return {
    captured: child.then(({ stderr }) => Number(/(\d+) packets? captured/.exec(stderr)?.[1])),
  };
}

async function carrierChanges(netns: string): Promise<number> {
  return Number(await inside(netns, 'cat /sys/class/net/va/carrier_changes'));
}

const MIRRORED = '020000000077';
const MIRRORED_FRAMES = 500;

export default [
  {
    name: 'a switch announces itself: LLDP, LACP, PTP, spanning tree, CDP',
    traffic: switchChatter,
  },
  {
    name: 'multicast and broadcast of neighbours, memberships that come and go',
    async traffic(pair) {
      const stop = await server(pair, pair.b, 'node', MDNS_LISTENER, RECEIVER);
      await client(pair.a, 'node', CHATTER, SENDER, '10.77.0.255', TRAFFIC_MS);
      return { count: await stop(), what: 'mDNS announcements received', atLeast: 15 };
    },
  },
  {
    name: 'IPv6 is off, its neighbours use it',
    async setUp(pair) {
      await inside(pair.b, 'sysctl -qw net.ipv6.conf.all.disable_ipv6=1');
      await server(pair, pair.b, 'node', HTTP_SERVER, 8080);
    },
    traffic: ipv6Chatter,
  },
  {
    name: 'a promiscuous capture on a mirror port: frames of other hosts',
    async traffic({ a, b }) {
      const capture = await startCapture(b, MIRRORED_FRAMES, 'ether dst 02:00:00:00:00:77');
      const from = (await macOf(a, 'va')).replaceAll(':', '');
      const packet = ipv4({ source: '192.0.2.1', destination: '192.0.2.2' });
      await sendFrames(a, 'va', MIRRORED_FRAMES, `${MIRRORED}${from}${packet}`);
      return { count: await capture.captured, what: 'frames captured', atLeast: MIRRORED_FRAMES };
    },
  },
  {
    name: 'interfaces of another namespace go down and up',
    async traffic({ cleanUp }) {
      const others = await makePair();
      cleanUp.add(() => others.cleanUp.run());
      const stream = sendUdp({
        from: others.a,
        to: RECEIVER,
        port: 5000,
        packets: 150,
        perSecond: 100,
      });
      const before = await carrierChanges(others.a);
      for (let flap = 0; flap < 5; flap++) {
        await inside(others.b, 'ip link set vb down');
        await inside(others.b, 'sleep 0.1');
        await inside(others.b, 'ip link set vb up');
        await inside(others.b, 'sleep 0.1');
      }
      const changes = (await carrierChanges(others.a)) - before;
      return [
        { count: await stream, what: 'packets sent meanwhile', atLeast: 100 },
        { count: changes, what: 'changes of a link', atLeast: 10 },
      ];
    },
  },
] satisfies readonly Workload[];
