import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { hold, pin, SYSTEM_CALLS } from '../bpf.ts';
import { run } from '../command.ts';
import { nstat } from '../counters.ts';
import type { Fault } from '../fault.ts';
import { inside, RECEIVER, SENDER, type Pair } from '../network.ts';
import { PORT, sendUdp, serve, startPerl, steady } from '../traffic.ts';

/** XDP_DROP is 1, TC_ACT_SHOT is 2 (include/uapi/linux). Drops UDP alone, so that ARP and IPv6 live. */
const SOURCE = `
struct xdp { unsigned data, end, meta, in, queue, out; };
static int is_udp(unsigned char *data, unsigned char *end) {
  return data + 34 <= end && data[12] == 8 && data[13] == 0 && data[23] == 17;
}
__attribute__((section("xdp"), used)) int lab_xdp(struct xdp *c) {
  return is_udp((void *)(long)c->data, (void *)(long)c->end) ? 1 : 2;
}
struct skb { unsigned fields[19], data, end; };
__attribute__((section("classifier"), used)) int lab_tc(struct skb *c) {
  return is_udp((void *)(long)c->data, (void *)(long)c->end) ? 2 : 0;
}
char _license[] __attribute__((section("license"), used)) = "GPL";
`;

/**
 * Attaches a program of its own by tcx (BPF_PROG_TYPE_SCHED_CLS), and keeps it open. It drops packets of more than
 * 120 bytes, so that ARP and IPv6 live.
 */
const ATTACH_TCX = `
use strict;
my ($bpf, $interface) = @ARGV;
my $code = join '', map { pack('CCsl', @$_) }
  [0x61, 0x10, 0, 0], [0x25, 0, 2, 120], [0xb7, 0, 0, -1], [0x95, 0, 0, 0], [0xb7, 0, 0, 2], [0x95, 0, 0, 0];
my $license = "GPL\\0";
my $load = pack('LLPPLLQLLa16LL', 3, 6, $code, $license, 0, 0, 0, 0, 0, 'lab_tcx', 0, 0);
my $program = syscall(0 + $bpf, 5, $load, length($load));
die "load: $!" if $program < 0;
open(my $f, '<', "/sys/class/net/$interface/ifindex") or die $!;
my $attach = pack('LLLLLLQ', <$f>, $program, 46, 0, 0, 0, 0);
syscall(0 + $bpf, 8, $attach, length($attach)) == 0 or die "attach: $!";
$| = 1; print "ready\\n"; sleep(100);
`;

async function compiled({ cleanUp }: Pair): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'whydrop-lab-'));
  cleanUp.add(() => rm(folder, { recursive: true }));
  const [source, object] = [join(folder, 'drop.c'), join(folder, 'drop.o')];
  await writeFile(source, SOURCE);
  await run(`clang -target bpf -O2 -g -c ${source} -o ${object}`);
  return object;
}

async function attachXdp(pair: Pair, mode: 'xdpgeneric' | 'xdpdrv'): Promise<void> {
  const object = await compiled(pair);
  await serve(pair, 'reads');
  await inside(pair.b, `ip link set vb ${mode} obj ${object} sec xdp`);
}

async function attachTc(pair: Pair, direction: 'ingress' | 'egress'): Promise<void> {
  const object = await compiled(pair);
  await inside(pair.b, 'tc qdisc add dev vb clsact');
  await inside(
    pair.b,
    `tc filter add dev vb ${direction} bpf direct-action obj ${object} sec classifier`,
  );
}

async function idOfXdp({ b }: Pair): Promise<number> {
  const [link] = JSON.parse(await run(`ip -n ${b} -j link show vb`)) as {
    xdp: { prog: { id: number } };
  }[];
  return link?.xdp.prog.id ?? Number.NaN;
}

async function idOfTc({ b }: Pair): Promise<number> {
  const filters = JSON.parse(await run(`tc -n ${b} -j filter show dev vb ingress`)) as {
    options?: { prog: { id: number } };
  }[];
  return filters.find(({ options }) => options !== undefined)?.options?.prog.id ?? Number.NaN;
}

/** All of it: nobody is said to hold it who does not. */
const ruleMatching = (whole: RegExp): string => expect.stringMatching(whole) as string;

async function clsactDropped({ b }: Pair): Promise<number> {
  const qdiscs = JSON.parse(await inside(b, 'tc -s -j qdisc show dev vb')) as {
    kind: string;
    drops: number;
  }[];
  return qdiscs.find(({ kind }) => kind === 'clsact')?.drops ?? Number.NaN;
}

/** What a peer sent less what arrived in the IP layer. */
async function notArrived({ a, b }: Pair): Promise<number> {
  return (await nstat(a, 'UdpOutDatagrams')) - (await nstat(b, 'UdpInDatagrams'));
}

const xdp = {
  cause: 'xdp-drop',
  confidence: { bpf: 'certain', tracefs: 'likely' },
  traffic: steady,
  lost: notArrived,
} satisfies Partial<Fault>;

export default [
  {
    ...xdp,
    name: 'XDP program in generic mode',
    scope: {
      interface: 'vb',
      rule: ruleMatching(
        /^XDP program lab_xdp \(id \d+, generic mode\), pinned at \/\S+\/whydrop-lab-\w+\/deny$/,
      ),
    },
    async setUp(pair) {
      await attachXdp(pair, 'xdpgeneric');
      await pin(pair, await idOfXdp(pair));
    },
  },
  {
    ...xdp,
    name: 'XDP program in the driver of a veth',
    scope: {
      interface: 'vb',
      rule: ruleMatching(/^XDP program lab_xdp \(id \d+, native mode\)$/),
    },
    setUp: (pair) => attachXdp(pair, 'xdpdrv'),
  },
  {
    name: 'BPF program at the ingress hook of tc',
    cause: 'tc-ingress-drop',
    confidence: { bpf: 'certain', tracefs: 'likely' },
    scope: {
      interface: 'vb',
      rule: ruleMatching(
        /^BPF program lab_tc \(id \d+\) \(pref \d+\), held by perl \(pid \d+(?:, \S+)?\)$/,
      ),
    },
    async setUp(pair) {
      await attachTc(pair, 'ingress');
      await hold(pair, await idOfTc(pair));
    },
    traffic: ({ a }) =>
      sendUdp({ from: a, to: RECEIVER, port: PORT, packets: 200, perSecond: 200 }),
    lost: clsactDropped,
  },
  {
    name: 'BPF program attached by tcx',
    cause: 'tc-ingress-drop',
    confidence: 'certain',
    // Nothing counts what they drop.
    onlyBpf: true,
    scope: {
      interface: 'vb',
      rule: ruleMatching(
        /^BPF program lab_tcx \(id \d+\), attached by tcx, held by perl \(pid \d+(?:, \S+)?\)$/,
      ),
    },
    async setUp(pair) {
      await serve(pair, 'reads');
      const holder = await startPerl(pair.b, ATTACH_TCX, [SYSTEM_CALLS.bpf, 'vb']);
      pair.cleanUp.add(() => holder.stop());
    },
    traffic: steady,
    lost: notArrived,
  },
  {
    name: 'BPF program at the egress hook of tc',
    cause: 'tc-egress-drop',
    confidence: { bpf: 'certain', tracefs: 'likely' },
    scope: { interface: 'vb' },
    setUp: (pair) => attachTc(pair, 'egress'),
    traffic: ({ b }) => sendUdp({ from: b, to: SENDER, port: PORT, packets: 200, perSecond: 200 }),
    lost: clsactDropped,
  },
] satisfies readonly Fault[];
