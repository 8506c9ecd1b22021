import { afterEach, beforeAll, expect, test } from 'vitest';
import { measure, measureRequest } from '../../src/cli/measure.ts';
import { openHost, openWholeMachine } from '../../src/cli/open-host.ts';
import type { Host, Machine } from '../../src/model/host.ts';
import type { Report, ReportCause, ReportNamespace } from '../../src/model/report.ts';
import { run, start } from './command.ts';
import { asymmetricRoute, ELSEWHERE } from './faults/reverse-path.ts';
import {
  CleanUp,
  inside,
  makePair,
  RECEIVER,
  restoreAfterCrash,
  setHostWide,
  type Pair,
} from './network.ts';
import { labMissing } from './requirements.ts';
import { receiveUdp, sendUdp } from './traffic.ts';

const missing = await labMissing();
const cleanUp = new CleanUp();
beforeAll(restoreAfterCrash);
afterEach(() => cleanUp.run());

async function cable(): Promise<Pair> {
  const pair = await makePair();
  cleanUp.add(() => pair.cleanUp.run());
  return pair;
}

interface View {
  /** `all`, or one namespace. */
  readonly netns: string;
  readonly capture: 'bpf' | 'tracefs';
}

async function open({ netns, capture }: View): Promise<Host | Machine> {
  const target = await (netns === 'all' ? openWholeMachine(capture) : openHost(netns, capture));
  cleanUp.add(() => target.close());
  return target;
}

/** Reports of the same traffic: every window opens before it and closes after it. */
async function reportsDuring(
  views: readonly View[],
  traffic: () => Promise<unknown>,
): Promise<readonly Report[]> {
  const closing = new AbortController();
  const { signal } = closing;
  const opened: Promise<void>[] = [];
  const done: Promise<Report>[] = [];
  for (const view of views) {
    const target = await open(view);
    opened.push(
      new Promise((resolve, reject) => {
        const measured = measure(target, measureRequest({ ...view, duration: '60s' }), {
          signal,
          onProgress: ({ stage }) => {
            if (stage === 'window') resolve();
          },
        });
        done.push(measured.then(({ report }) => report));
        measured.catch(reject);
      }),
    );
  }
  try {
    await Promise.all(opened);
    await traffic();
  } finally {
    closing.abort();
  }
  return Promise.all(done);
}

function namespaceIn({ namespaces = [] }: Report, netns: string | null): ReportNamespace {
  const found = namespaces.find(({ name }) => name === netns);
  if (found === undefined) throw new Error(`${netns} is not in the report`);
  return found;
}

function causesIn({ causes }: Report, netns: string): readonly ReportCause[] {
  return causes.filter(({ scope, severity }) => scope.netns === netns && severity !== 'notice');
}

function expectSums({ totals, namespaces = [] }: Report): void {
  for (const key of ['dropped', 'explained', 'benign', 'unexplained'] as const) {
    expect(namespaces.reduce((sum, entry) => sum + entry.totals[key], 0)).toBe(totals[key]);
  }
  expect(totals.explained + totals.benign + totals.unexplained).toBe(totals.dropped);
}

const WAITING = 40;

test.skipIf(missing !== null)(
  'two faults in two namespaces, and a quiet one: each is told rightly, from one capture',
  async () => {
    const [storm, asymmetric, quiet] = [await cable(), await cable(), await cable()];
    await inside(
      storm.b,
      'nft -f -',
      'table inet t { chain i { type filter hook input priority 0; udp dport 5000 counter drop;\n}\n}',
    );
    await asymmetricRoute(asymmetric);
    await inside(asymmetric.b, 'sysctl -qw net.ipv4.conf.vb.rp_filter=1');
    // What waits in the queue of a UDP socket belongs to no interface and no socket when that is closed.
    const stuck = await receiveUdp(quiet.b, 7000, 'stuck');
    cleanUp.add(() => stuck.stop());
    await sendUdp({ from: quiet.a, to: RECEIVER, port: 7000, packets: WAITING, perSecond: 0 });

    const [all, fallback, alone] = await reportsDuring(
      [
        { netns: 'all', capture: 'bpf' },
        { netns: 'all', capture: 'tracefs' },
        { netns: quiet.b, capture: 'bpf' },
      ],
      async () => {
        await Promise.all([
          sendUdp({ from: storm.a, to: RECEIVER, port: 5000, packets: 50_000, perSecond: 0 }),
          sendUdp({
            from: asymmetric.a,
            source: ELSEWHERE,
            to: RECEIVER,
            port: 5000,
            packets: 200,
            perSecond: 400,
          }),
        ]);
        await stuck.stop();
      },
    );
    if (all === undefined || fallback === undefined || alone === undefined)
      throw new Error('no report');

    for (const report of [all, fallback]) {
      expect(causesIn(report, storm.b)).toEqual([
        expect.objectContaining({ id: 'nf-rule-drop', packets: 50_000 }),
      ]);
      expect(causesIn(report, asymmetric.b)).toEqual([
        expect.objectContaining({ id: 'ip-rpfilter', packets: 200 }),
      ]);
      expect(namespaceIn(report, quiet.b).verdict).toBe('ok');
      expect(report.verdict).toBe('critical');
      expect(report.crashed).toEqual([]);
      expectSums(report);
    }
    expect(namespaceIn(all, storm.b)).toMatchObject({
      verdict: 'warning',
      totals: { explained: 50_000, unexplained: 0 },
    });
    expect(namespaceIn(all, null).ofNoNamespace).toBeGreaterThanOrEqual(WAITING);
    expect(causesIn(all, asymmetric.b)[0]?.fixes[0]?.steps[0]?.command).toBe(
      `ip netns exec ${asymmetric.b} sysctl -w net.ipv4.conf.vb.rp_filter=2`,
    );
    expect(fallback.notes.join()).toMatch(/tracefs does not tell in which network namespace/);
    expect(namespaceIn(fallback, null).ofNoNamespace).toBeUndefined();

    // The storm next door was counted by the kernel, and not looked at.
    expect(alone).toMatchObject({ verdict: 'ok', causes: [], totals: { unexplained: 0 } });
    expect(alone.elsewhere.packets).toBeGreaterThanOrEqual(50_200);
    expect(alone.elsewhere.drops.map(({ reason }) => reason)).not.toContain('NETFILTER_DROP');
  },
);

test.skipIf(missing !== null)(
  'an input queue that overflows is a fault of the machine: told once, with the namespaces it hit',
  async () => {
    const { a, b } = await cable();
    await setHostWide(cleanUp, '/proc/sys/net/core/netdev_max_backlog', '10');
    await inside(b, 'tee /sys/class/net/vb/queues/rx-0/rps_cpus', '2');
    const rules = Array.from(
      { length: 2000 },
      (_, index) => `udp dport ${10_000 + index} counter;`,
    );
    await inside(
      b,
      'nft -f -',
      `table ip slow { chain p { type filter hook prerouting priority -300; ${rules.join(' ')} }; }`,
    );
    const [report] = await reportsDuring([{ netns: 'all', capture: 'bpf' }], () =>
      sendUdp({
        from: a,
        to: RECEIVER,
        port: 9,
        packets: 1000,
        perSecond: 1000,
        burst: 200,
        cpu: 0,
      }),
    );
    if (report === undefined) throw new Error('no report');
    const [cause, ...others] = report.causes.filter(({ id }) => id === 'softnet-backlog');
    expect(others).toEqual([]);
    expect(cause).toMatchObject({ scope: { netns: b, interface: 'vb' } });
    expect(cause?.because.map(({ text }) => text).join()).toContain(`in ${b}`);
    expect(report.unexplained.filter(({ reason }) => reason === 'CPU_BACKLOG')).toEqual([]);
    expectSums(report);
  },
);

test.skipIf(missing !== null)('a namespace without a name is found by its process', async () => {
  const program = 'socket(S,2,2,0);$|=1;print "ready";sleep 100';
  const child = start('unshare', ['--net', 'perl', '-MSocket', '-e', program]);
  cleanUp.add(async () => {
    child.kill('SIGKILL');
    await child;
  });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  const [report] = await reportsDuring([{ netns: 'all', capture: 'bpf' }], () =>
    run(`nsenter -t ${child.pid} -n ip link set lo up`),
  );
  const namespace = report?.namespaces?.find(({ netns }) => netns === String(child.pid));
  expect(namespace).toMatchObject({ verdict: 'ok' });
});
