import { cpus } from 'node:os';
import { inside, makePair, RECEIVER, type CleanUp, type Pair } from '../test/lab/network.ts';
import { sendUdp } from '../test/lab/traffic.ts';
import type { Breakdown, Figure, Section } from './figure.ts';
import {
  bpftrace,
  isInstalled,
  nobody,
  perf,
  whydropReport,
  type Observer,
  type Seen,
} from './observers.ts';
import { interleaved, median } from './statistics.ts';

const PORT = 5000;

/** One storm under one observer. */
interface Storm extends Seen {
  /** Until the last sender is done. */
  readonly seconds: number;
  /** What the nftables rule counted. */
  readonly dropped: number;
}

/**
 * What watching costs the traffic: a fixed number of datagrams into an nftables drop rule, as fast as
 * the senders can. The rule is met in the sender's own time (veth), so a sender slows down by what
 * each drop costs.
 */
export async function measureStorms(
  program: string,
  rounds: number,
  packets: number,
  cleanUp: CleanUp,
  say: (text: string) => void,
): Promise<Section> {
  const pair = await makePair();
  cleanUp.add(() => pair.cleanUp.run());
  await inside(
    pair.b,
    'nft -f -',
    `table inet t { chain i { type filter hook input priority 0; udp dport ${PORT} counter drop; }\n}\n`,
  );
  const others: Observer[] = [];
  if (await isInstalled('perf')) others.push(perf);
  if (await isInstalled('bpftrace')) others.push(bpftrace);

  const figures: Figure[] = [];
  const breakdowns: Breakdown[] = [];
  // One sender leaves CPUs to the observer; a sender on each CPU does not.
  for (const senders of new Set([1, cpus().length])) {
    const [warmUp] = await rehearse(pair, senders, packets);
    // Room for a storm that watching slows down, on a machine that others use.
    const seconds = Math.ceil(warmUp * 2.5) + 1;
    const observers = [nobody, whydropReport(program, pair.b, seconds), ...others];
    const results = await interleaved(
      observers.map((observer) => ({
        name: observer.name,
        run: () => storm(observer, pair, senders, packets),
      })),
      rounds,
      (round) => say(`storms of ${senders} sender(s), round ${round} of ${rounds}`),
    );
    const [unwatched = []] = results;
    const baseline = median(unwatched.map((run) => run.seconds));
    const of = senders === 1 ? 'one sender' : `${senders} senders, one for each CPU`;
    for (const [index, observer] of observers.entries()) {
      const storms = results[index] ?? [];
      if (observer === nobody) continue;
      figures.push({
        id: `storm.slowdown.${senders}.${observer.name}`,
        what: `slow-down of ${of}: ${observer.name}`,
        value: median(storms.map((run) => run.seconds)) / baseline,
        unit: '×',
        command: observer.command,
      });
      const peaks = storms.flatMap(({ peakMB }) => peakMB ?? []);
      if (peaks.length > 0) {
        figures.push({
          id: `storm.memory.${senders}.${observer.name}`,
          what: `peak memory in that storm: ${observer.name}`,
          value: Math.max(...peaks),
          unit: 'MB',
          goal: 150,
          command: 'VmHWM of the same runs, the highest',
        });
      }
    }
    breakdowns.push(table(of, observers, results, packets));
  }
  return {
    title: `A storm of drops: ${packets.toLocaleString('en')} datagrams into a drop rule (${rounds} interleaved rounds, medians)`,
    figures,
    breakdowns,
    notes: others.length < 2 ? ['perf and bpftrace are compared where they are installed.'] : [],
  };
}

/** @returns seconds without an observer */
async function rehearse(pair: Pair, senders: number, packets: number): Promise<[number]> {
  const { seconds } = await storm(nobody, pair, senders, packets);
  return [seconds];
}

async function storm(
  observer: Observer,
  pair: Pair,
  senders: number,
  packets: number,
): Promise<Storm> {
  const observation = await observer.start();
  const before = await ruleCount(pair.b);
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: senders }, (_, index) =>
      sendUdp({
        from: pair.a,
        to: RECEIVER,
        port: PORT,
        packets: Math.ceil(packets / senders),
        perSecond: 0,
        ...(senders > 1 && { cpu: index }),
      }),
    ),
  );
  const seconds = (performance.now() - startedAt) / 1000;
  const seen = await observation.stop();
  return { ...seen, seconds, dropped: (await ruleCount(pair.b)) - before };
}

async function ruleCount(netns: string): Promise<number> {
  const text = await inside(netns, 'nft list chain inet t i');
  return Number(/counter packets (\d+)/.exec(text)?.[1] ?? Number.NaN);
}

function table(
  of: string,
  observers: readonly Observer[],
  results: readonly (readonly Storm[])[],
  packets: number,
): Breakdown {
  const count = (value: number): string => Math.round(value).toLocaleString('en');
  return {
    title: `Storm of ${of}`,
    rows: [
      ['observer', 'drops/s', 'seconds', 'dropped', 'events seen', 'said to be lost', 'not seen'],
      ...observers.map(({ name }, index) => {
        const storms = results[index] ?? [];
        const middle = (value: (run: Storm) => number | null): string => {
          const known = storms.flatMap((run) => value(run) ?? []);
          return known.length === 0 ? '-' : count(median(known));
        };
        const seconds = median(storms.map((run) => run.seconds));
        return [
          name,
          count(packets / seconds),
          seconds.toFixed(2),
          middle(({ dropped }) => dropped),
          middle(({ events }) => events),
          middle(({ lost }) => lost),
          // Other drops of the machine are among the events: fewer than none are missed.
          middle(({ events, dropped }) => (events === null ? null : Math.max(0, dropped - events))),
        ];
      }),
    ],
  };
}
