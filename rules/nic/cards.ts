import { sumByTemplate, type Nic, type Nics } from '../../checks/ethtool.ts';
import {
  statisticKeys,
  statisticName,
  type Link,
  type Links,
  type Statistic,
} from '../../checks/link.ts';
import { nicDriver, templatesOf, type StatisticKind } from '../../checks/nic-drivers.ts';
import type { Sampled } from '../../src/model/check.ts';
import { rise } from '../../src/model/counter.ts';
import type { Observation } from '../../src/model/rule.ts';

/** One network card at both ends of the window. */
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

/** Network cards that were there all the time. */
export function cards(link: Sampled<Links>, ethtool: Sampled<Nics> | undefined): readonly Card[] {
  const names = (ethtool?.last ?? likelyCards(link.last)).interfaces.keys();
  return [...names].flatMap((name) => {
    const first = link.first.interfaces.get(name);
    const last = link.last.interfaces.get(name);
    // Another device may have taken the name.
    if (first === undefined || last === undefined || first.ifindex !== last.ifindex) return [];
    const [nicFirst, nicLast] = [ethtool?.first, ethtool?.last].map((nics) =>
      nics?.interfaces.get(name),
    );
    return { name, first: { link: first, nic: nicFirst }, last: { link: last, nic: nicLast } };
  });
}

/** The ethtool check knows which interfaces have a device behind them; without it, those that look so. */
function likelyCards({ interfaces }: Links): Links {
  // A bond adds up what its ports lost.
  const masters = new Set([...interfaces.values()].map(({ master }) => master));
  return {
    interfaces: new Map(
      [...interfaces].filter(
        ([name, { kind, loopback }]) => kind === undefined && !loopback && !masters.has(name),
      ),
    ),
  };
}

/** A counter of a card that went up in the window. */
export interface Rise {
  readonly name: string;
  readonly by: number;
  /** As an Expectation names it. */
  readonly counter: string;
  readonly seen: Observation;
}

/** Several statistics may count the same packet: the largest is a lower bound. */
export function most(rises: readonly Rise[]): Rise | undefined {
  return [...rises].sort((a, b) => b.by - a.by)[0];
}

/** Statistics of the driver that rose, by template. */
export function statisticRises({ name, first, last }: Card): readonly Rise[] {
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

/** Of these, the ones that count such a thing with the driver of this card. */
export function kindRises(card: Card, kind: StatisticKind): readonly Rise[] {
  const templates = templatesOf(nicDriver(card.last.nic?.settings?.driver), kind);
  return statisticRises(card).filter(({ name }) => templates.includes(name));
}

export type StandardRises = Readonly<Partial<Record<Statistic, Rise>>>;

/** Statistics of the interface that rose. */
export function standardRises({ name, first, last }: Card): StandardRises {
  return Object.fromEntries(
    statisticKeys.flatMap((key) =>
      toRise(
        statisticName(key),
        `/sys/class/net/${name}/statistics/${statisticName(key)}`,
        `link ${name}.${statisticName(key)}`,
        first.link[key],
        last.link[key],
      ).map((rise) => [key, rise]),
    ),
  );
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
