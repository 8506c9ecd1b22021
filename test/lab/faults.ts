import { conntrackStat, nstat, rxDropped, softnetColumn } from './counters.ts';
import { inside, macOf, RECEIVER, setHostWide, type Pair } from './network.ts';
import type { Scenario } from './scenario.ts';
import { receiveUdp, sendFrames, sendUdp, type Receiver } from './traffic.ts';

const PORT = 5000;
const PACKETS = 400;
const PER_SECOND = 200;

/** A steady stream to the receiver: 2 seconds, 400 packets. */
export function steady(
  pair: Pair,
  options: { source?: string; flows?: number } = {},
): Promise<number> {
  return sendUdp({
    from: pair.a,
    to: RECEIVER,
    port: PORT,
    packets: PACKETS,
    perSecond: PER_SECOND,
    ...options,
  });
}

/** An address of the sender that the receiver would answer through another interface. */
export const ELSEWHERE = '192.0.2.7';

export async function asymmetricRoute({ a, b }: Pair): Promise<void> {
  await inside(a, `ip addr add ${ELSEWHERE}/32 dev lo`);
  await inside(b, 'ip link add other type veth peer name other-peer');
  await inside(b, 'ip link set other up');
  await inside(b, 'ip link set other-peer up');
  await inside(b, 'ip route add 192.0.2.0/24 dev other');
}

const services = new WeakMap<Pair, Receiver>();

/** Starts the service of the scenario, or restarts it: sockets keep the buffer they were opened with. */
async function listen(
  pair: Pair,
  mode: 'reads' | 'bursts' | 'stuck',
  rcvbufBytes = 0,
): Promise<void> {
  await services.get(pair)?.stop();
  const receiver = await receiveUdp(pair.b, PORT, mode, rcvbufBytes);
  services.set(pair, receiver);
  pair.cleanUp.add(() => receiver.stop());
}

/** Sends bursts from CPU 0 to packets handled on CPU 1, through the queue that RPS fills. */
function burstsToOtherCpu(pair: Pair, burst: number): Promise<number> {
  return sendUdp({
    from: pair.a,
    to: RECEIVER,
    port: PORT,
    packets: 3000,
    perSecond: 1000,
    burst,
    cpu: 0,
  });
}

/** Enough rules that handling a packet takes many times as long as sending one. */
const SLOW_RULES = 2000;

/** Handles the receiver's packets on CPU 1, and so slowly that bursts pile up in its queue. */
async function slowOnOtherCpu(pair: Pair): Promise<void> {
  await inside(pair.b, 'tee /sys/class/net/vb/queues/rx-0/rps_cpus', '2');
  const rules = Array.from(
    { length: SLOW_RULES },
    (_, index) => `udp dport ${10_000 + index} counter;`,
  );
  await nft(
    pair,
    `table ip slow { chain p { type filter hook prerouting priority -300; ${rules.join(' ')} }; }`,
  );
}

const MAX_BACKLOG = '/proc/sys/net/core/netdev_max_backlog';

async function nft(pair: Pair, rules: string): Promise<void> {
  await inside(pair.b, 'nft -f -', rules);
}

/** All that was lost on its way from the sender to the program: what it sent less what UDP delivered. */
async function notDelivered(pair: Pair): Promise<number> {
  const received = (await nstat(pair.b, 'UdpInDatagrams')) + (await nstat(pair.b, 'UdpNoPorts'));
  return (await nstat(pair.a, 'UdpOutDatagrams')) - received;
}

async function frame(pair: Pair, etherType: string): Promise<void> {
  const mac = (await macOf(pair.b, 'vb')).replaceAll(':', '');
  const from = (await macOf(pair.a, 'va')).replaceAll(':', '');
  await sendFrames(pair.a, 'va', PACKETS, `${mac}${from}${etherType}${'00'.repeat(50)}`);
}

export const faults: readonly Scenario[] = [
  {
    name: 'strict reverse-path filter, asymmetric route',
    cause: 'ip-rpfilter',
    confidence: 'certain',
    async setUp(pair) {
      await asymmetricRoute(pair);
      await inside(pair.b, 'sysctl -qw net.ipv4.conf.vb.rp_filter=1');
      await listen(pair, 'reads');
    },
    traffic: (pair) => steady(pair, { source: ELSEWHERE }),
    lost: ({ b }) => nstat(b, 'TcpExtIPReversePathFilter'),
    cure: { kind: 'sysctl', fix: 'ip-rpfilter', exitCode: 0 },
  },
  {
    name: 'loose reverse-path filter, no route back',
    cause: 'ip-rpfilter',
    confidence: 'certain',
    async setUp(pair) {
      await inside(pair.a, `ip addr add ${ELSEWHERE}/32 dev lo`);
      await inside(pair.b, 'sysctl -qw net.ipv4.conf.vb.rp_filter=2');
      await listen(pair, 'reads');
    },
    traffic: (pair) => steady(pair, { source: ELSEWHERE }),
    lost: ({ b }) => nstat(b, 'TcpExtIPReversePathFilter'),
    cure: { kind: 'printed' },
  },
  {
    name: 'conntrack table full',
    cause: 'nf-conntrack-full',
    confidence: 'certain',
    async setUp(pair) {
      await nft(
        pair,
        'table inet t { chain i { type filter hook input priority 0; ct state new counter accept; }; }',
      );
      await setHostWide(pair.cleanUp, '/proc/sys/net/netfilter/nf_conntrack_max', '20');
      await listen(pair, 'reads');
    },
    traffic: (pair) => steady(pair, { flows: 200 }),
    lost: ({ b }) => conntrackStat(b, 'drop'),
    cure: { kind: 'sysctl', fix: 'nf-conntrack-full', exitCode: 0 },
  },
  {
    name: 'UDP: default buffer, bursts, a reader that keeps up between them',
    cause: 'udp-rcvbuf-full',
    confidence: 'certain',
    async setUp(pair) {
      await setHostWide(pair.cleanUp, '/proc/sys/net/core/rmem_default', '16384');
      await listen(pair, 'bursts');
    },
    traffic: (pair) =>
      sendUdp({
        from: pair.a,
        to: RECEIVER,
        port: PORT,
        packets: 500,
        perSecond: 200,
        burst: 100,
      }),
    lost: ({ b }) => nstat(b, 'UdpRcvbufErrors'),
    cure: {
      kind: 'sysctl',
      fix: 'udp-rcvbuf-full',
      exitCode: 1,
      after: (pair) => listen(pair, 'bursts'),
    },
  },
  {
    name: 'UDP: a program with a tiny SO_RCVBUF of its own',
    cause: 'udp-rcvbuf-full',
    confidence: 'certain',
    async setUp(pair) {
      await listen(pair, 'bursts', 4096);
    },
    traffic: (pair) =>
      sendUdp({
        from: pair.a,
        to: RECEIVER,
        port: PORT,
        packets: 500,
        perSecond: 200,
        burst: 100,
      }),
    lost: ({ b }) => nstat(b, 'UdpRcvbufErrors'),
    cure: { kind: 'printed' },
  },
  {
    name: 'UDP: a program that does not read',
    cause: 'udp-rcvbuf-full',
    confidence: 'certain',
    async setUp(pair) {
      await listen(pair, 'stuck');
      // Fill the queue first: the fault is there before the window opens.
      await sendUdp({
        from: pair.a,
        to: RECEIVER,
        port: PORT,
        packets: 1000,
        perSecond: 0,
        bytes: 1000,
      });
    },
    traffic: (pair) => steady(pair),
    lost: ({ b }) => nstat(b, 'UdpRcvbufErrors'),
    cure: { kind: 'printed' },
  },
  {
    name: 'input queue of a CPU overflows',
    cause: 'softnet-backlog',
    confidence: 'certain',
    async setUp(pair) {
      await setHostWide(pair.cleanUp, MAX_BACKLOG, '10');
      await slowOnOtherCpu(pair);
      await listen(pair, 'reads');
    },
    traffic: (pair) => burstsToOtherCpu(pair, 200),
    lost: () => softnetColumn(2),
    cure: { kind: 'sysctl', fix: 'softnet-backlog', exitCode: 0 },
  },
  {
    name: 'flow limit holds one flow back',
    cause: 'rps-flow-limit',
    confidence: 'certain',
    async setUp(pair) {
      // The limit holds a flow back from half a queue on, once 64 packets have met it: before the queue is full.
      await setHostWide(pair.cleanUp, MAX_BACKLOG, '200');
      await setHostWide(pair.cleanUp, '/proc/sys/net/core/flow_limit_cpu_bitmap', '3');
      await slowOnOtherCpu(pair);
      await listen(pair, 'reads');
    },
    traffic: (pair) => burstsToOtherCpu(pair, 250),
    lost: () => softnetColumn(11),
    cure: { kind: 'sysctl', fix: 'rps-flow-limit', exitCode: 0 },
  },
  {
    name: 'nftables rule with a counter',
    cause: 'nf-rule-drop',
    confidence: 'certain',
    setUp: (pair) =>
      nft(
        pair,
        `table inet t { chain i { type filter hook input priority 0; udp dport ${PORT} counter drop comment "lab"; }; }`,
      ),
    traffic: (pair) => steady(pair),
    lost: notDelivered,
    cure: { kind: 'printed' },
  },
  {
    name: 'nftables rule without a counter',
    cause: 'nf-rule-drop',
    confidence: 'likely',
    setUp: (pair) =>
      nft(
        pair,
        `table inet t { chain i { type filter hook input priority 0; udp dport ${PORT} drop; }; }`,
      ),
    traffic: (pair) => steady(pair),
    lost: notDelivered,
    cure: { kind: 'printed' },
  },
  {
    name: 'nftables chain policy',
    cause: 'nf-rule-drop',
    confidence: 'likely',
    setUp: (pair) =>
      nft(
        pair,
        'table inet t { chain i { type filter hook input priority 0; policy drop; tcp dport 22 accept; }; }',
      ),
    traffic: (pair) => steady(pair),
    lost: notDelivered,
    cure: { kind: 'printed' },
  },
  {
    name: 'iptables (nft) rule',
    cause: 'nf-rule-drop',
    confidence: 'certain',
    async setUp({ b }) {
      await inside(
        b,
        `iptables-nft -A INPUT -p udp --dport ${PORT} -m comment --comment lab -j DROP`,
      );
    },
    traffic: (pair) => steady(pair),
    lost: notDelivered,
    cure: { kind: 'printed' },
  },
  {
    name: 'iptables (legacy) rule',
    cause: 'nf-rule-drop',
    confidence: 'certain',
    async setUp({ b }) {
      await inside(b, `iptables-legacy -A INPUT -p udp --dport ${PORT} -j DROP`);
    },
    traffic: (pair) => steady(pair),
    lost: notDelivered,
    cure: { kind: 'printed' },
  },
  {
    name: 'iptables (legacy) policy',
    cause: 'nf-rule-drop',
    confidence: 'certain',
    async setUp({ b }) {
      await inside(b, 'iptables-legacy -P INPUT DROP');
    },
    traffic: (pair) => steady(pair),
    lost: notDelivered,
    cure: { kind: 'printed' },
  },
  {
    name: 'frames of a protocol nobody handles (MPLS)',
    cause: 'l2-unhandled-proto',
    confidence: 'certain',
    setUp: () => Promise.resolve(),
    traffic: (pair) => frame(pair, '8847'),
    lost: ({ b }) => rxDropped(b, 'vb'),
    cure: { kind: 'printed' },
  },
];
