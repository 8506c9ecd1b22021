import { sumByTemplate, type Nic } from '../../checks/ethtool.ts';
import type { Link } from '../../checks/link.ts';
import { nicDriver, soundsLikeRxLoss, type NicDriver } from '../../checks/nic-drivers.ts';
import { rise } from '../../src/model/counter.ts';
import type { CauseFinding, Observation } from '../../src/model/rule.ts';

/** One interface at both ends of the window. */
export interface Card {
  readonly name: string;
  readonly first: CardReading;
  readonly last: CardReading;
}

export interface CardReading {
  readonly link: Link;
  /** Undefined: ethtool is missing, or told nothing. */
  readonly nic: Nic | undefined;
}

/** Packets that a card lost because its receive ring was empty. */
export interface RingLoss {
  readonly confidence: CauseFinding['confidence'];
  /** 0: the ring was empty, but the card's own buffer saved the packets. */
  readonly packets: number;
  /** Counts the loss, as an Expectation names it. */
  readonly counter: string;
  readonly because: readonly Observation[];
  readonly rulesOut: CauseFinding['rulesOut'];
}

/** What the counters of a card say about its receive ring; undefined: nothing. */
export function ringLoss(card: Card): RingLoss | undefined {
  const driver = nicDriver(card.last.nic?.settings?.driver);
  const rises: Rises = { statistics: statisticRises(card), standard: standardRises(card) };
  return driver === undefined
    ? (standardLoss({}, rises) ?? guessedLoss(rises))
    : (descriptorLoss(driver, rises) ?? standardLoss(driver, rises));
}

/** A counter that went up in the window. */
interface Rise {
  readonly name: string;
  readonly by: number;
  readonly counter: string;
  readonly seen: Observation;
}

interface Rises {
  /** Statistics of the driver, by template. */
  readonly statistics: readonly Rise[];
  /** Statistics of the interface. */
  readonly standard: Readonly<Partial<Record<keyof typeof standardNames, Rise>>>;
}

const standardNames = {
  rxMissed: 'rx_missed_errors',
  rxFifo: 'rx_fifo_errors',
  rxDropped: 'rx_dropped',
} as const;

/** A statistic of this driver says that descriptors were missing, and nothing else. */
function descriptorLoss(driver: NicDriver, { statistics, standard }: Rises): RingLoss | undefined {
  const among = (templates: readonly string[] = []): readonly Rise[] =>
    statistics.filter(({ name }) => templates.includes(name));
  const { ringEmpty } = driver;
  const lost = among(driver.ring);
  const empty = among(ringEmpty?.templates);
  if (lost.length === 0 && empty.length === 0) return undefined;

  const missed =
    ringEmpty === undefined || empty.length === 0 ? undefined : standard[ringEmpty.lostIn];
  const metEmptyRing = ringEmpty?.counts === 'packets' ? (most(empty)?.by ?? 0) : Infinity;
  // Several statistics may count the same packet: the largest is a lower bound.
  const worst = most([
    ...lost,
    ...(missed === undefined ? [] : [{ ...missed, by: Math.min(missed.by, metEmptyRing) }]),
  ]);
  const quietPort =
    missed === undefined && driver.port !== undefined && among(driver.port).length === 0;
  return {
    confidence: 'certain',
    packets: worst?.by ?? 0,
    counter: (worst ?? empty[0])?.counter ?? '',
    because: [...lost, ...empty, ...(missed === undefined ? [] : [missed])].map(({ seen }) => seen),
    rulesOut: quietPort
      ? [
          {
            id: 'nic-rx-fifo',
            because: `the card's own buffer did not overflow: ${driver.port.slice(0, 2).join(', ')} did not rise`,
          },
        ]
      : [],
  };
}

/** Only the standard statistics moved, which many drivers use for overflows of any kind. */
function standardLoss(driver: NicDriver, { standard }: Rises): RingLoss | undefined {
  const rises = [
    ...(driver.rxMissed === 'port' ? [] : [standard.rxMissed]),
    ...(driver.rxFifo === 'port' ? [] : [standard.rxFifo]),
  ].filter((rise) => rise !== undefined);
  // Some drivers (igb) count a packet in both.
  const worst = most(rises);
  if (worst === undefined) return undefined;
  const meaning = worst === standard.rxMissed ? driver.rxMissed : driver.rxFifo;
  return {
    confidence: meaning === 'ring' ? 'certain' : 'likely',
    packets: worst.by,
    counter: worst.counter,
    because: rises.map(({ seen }) => seen),
    rulesOut: [],
  };
}

/** A driver we do not know, and a statistic whose name sounds like it. */
function guessedLoss({ statistics }: Rises): RingLoss | undefined {
  const rises = statistics.filter(({ name }) => soundsLikeRxLoss(name));
  const worst = most(rises);
  if (worst === undefined) return undefined;
  return {
    confidence: 'possible',
    packets: worst.by,
    counter: worst.counter,
    because: rises.map(({ seen }) => seen),
    rulesOut: [],
  };
}

function most(rises: readonly Rise[]): Rise | undefined {
  return [...rises].sort((a, b) => b.by - a.by)[0];
}

function statisticRises({ name, first, last }: Card): readonly Rise[] {
  const before = sumByTemplate(first.nic?.statistics ?? new Map());
  return [...sumByTemplate(last.nic?.statistics ?? new Map())].flatMap(([template, now]) =>
    toRise(
      template,
      `ethtool -S ${name}`,
      `ethtool ${name}.${template}`,
      before.get(template),
      now,
    ),
  );
}

function standardRises({ name, first, last }: Card): Rises['standard'] {
  const one = (key: keyof typeof standardNames): readonly Rise[] =>
    toRise(
      standardNames[key],
      `/sys/class/net/${name}/statistics/${standardNames[key]}`,
      `link ${name}.${standardNames[key]}`,
      first.link[key],
      last.link[key],
    );
  const [rxMissed] = one('rxMissed');
  const [rxFifo] = one('rxFifo');
  const [rxDropped] = one('rxDropped');
  return {
    ...(rxMissed === undefined ? {} : { rxMissed }),
    ...(rxFifo === undefined ? {} : { rxFifo }),
    ...(rxDropped === undefined ? {} : { rxDropped }),
  };
}

function toRise(
  name: string,
  source: string,
  counter: string,
  first: bigint | undefined,
  last: bigint,
): readonly Rise[] {
  const by = rise(first, last);
  if (first === undefined || by === 0) return [];
  const seen = { source, text: `${name} rose by ${by}`, first: String(first), last: String(last) };
  return [{ name, by, counter, seen }];
}
