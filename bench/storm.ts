import { inside, makePair, RECEIVER, type CleanUp, type Pair } from '../test/lab/network.ts';
import { startUdp, timeUdp } from '../test/lab/traffic.ts';
import type { Observer, Seen } from './observers.ts';

const PORT = 5000;

/** One storm under one observer. */
export interface Storm extends Seen {
  /** Of the sender that took longest. */
  readonly seconds: number;
  /** What the nftables rule counted. */
  readonly dropped: number;
}

export interface StormSize {
  readonly packets: number;
  /** Each sender has a CPU of its own. */
  readonly senderCpus: readonly number[];
}

/** Two namespaces and a cable, with a rule that drops what the storms send. */
export async function makeStormPair(cleanUp: CleanUp): Promise<Pair> {
  const pair = await makePair();
  cleanUp.add(() => pair.cleanUp.run());
  await inside(
    pair.b,
    'nft -f -',
    `table inet t { chain i { type filter hook input priority 0; udp dport ${PORT} counter drop; }\n}\n`,
  );
  return pair;
}

/**
 * A fixed number of datagrams into a drop rule, as fast as the senders can. The rule is met in the sender's
 * own time (veth hands the packet over on the same CPU), so a sender slows down by what each drop costs.
 *
 * @param beforeStop while the observer still watches
 */
export async function storm(
  observer: Observer,
  pair: Pair,
  { packets, senderCpus }: StormSize,
  beforeStop: () => Promise<unknown> = async () => undefined,
): Promise<Storm> {
  const observation = await observer.start();
  const before = await ruleCount(pair.b);
  const times = await Promise.all(
    senderCpus.map((cpu) =>
      timeUdp({
        from: pair.a,
        to: RECEIVER,
        port: PORT,
        packets: Math.ceil(packets / senderCpus.length),
        perSecond: 0,
        cpu,
      }),
    ),
  );
  await beforeStop();
  const seen = await observation.stop();
  const seconds = Math.max(...times.map((sender) => sender.seconds));
  return { ...seen, seconds, dropped: (await ruleCount(pair.b)) - before };
}

/** One sender into the rule, until it is stopped. Idempotent. */
export function startEndlessStorm(
  { a }: Pair,
  cpu: number,
): { readonly pid: number; stop(): Promise<void> } {
  const sender = startUdp({ from: a, to: RECEIVER, port: PORT, packets: 1e12, perSecond: 0, cpu });
  return {
    pid: sender.pid ?? 0,
    async stop() {
      sender.kill('SIGKILL');
      await sender;
    },
  };
}

async function ruleCount(netns: string): Promise<number> {
  const text = await inside(netns, 'nft list chain inet t i');
  return Number(/counter packets (\d+)/.exec(text)?.[1] ?? Number.NaN);
}
