import type { Nics } from '../../checks/ethtool.ts';
import type { Links } from '../../checks/link.ts';
import { nicDriver, soundsLikeRxLoss, type NicDriver } from '../../checks/nic-drivers.ts';
import type { Sampled } from '../../src/model/check.ts';
import type { CauseFinding, Observation } from '../../src/model/rule.ts';
import {
  cards,
  most,
  standardRises,
  statisticRises,
  type Card,
  type Rise,
  type StandardRises,
} from './cards.ts';

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

/** Cards that surely lost packets to an empty ring. */
export function ringLosses(
  link: Sampled<Links>,
  ethtool: Sampled<Nics> | undefined,
): readonly Card[] {
  return cards(link, ethtool).flatMap((card) => {
    const loss = ringLoss(card);
    return loss === undefined || loss.packets === 0 || loss.confidence === 'possible' ? [] : card;
  });
}

/** What the counters of a card say about its receive ring; undefined: nothing. */
export function ringLoss(card: Card): RingLoss | undefined {
  const driver = nicDriver(card.last.nic?.settings?.driver);
  const rises: Rises = { statistics: statisticRises(card), standard: standardRises(card) };
  return driver === undefined
    ? (standardLoss({}, rises) ?? guessedLoss(rises))
    : (descriptorLoss(driver, rises) ?? standardLoss(driver, rises));
}

interface Rises {
  /** Statistics of the driver, by template. */
  readonly statistics: readonly Rise[];
  readonly standard: StandardRises;
}

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
