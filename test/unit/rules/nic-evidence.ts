import type { Nic, Nics, NicSettings } from '../../../checks/ethtool.ts';
import type { Link, Links } from '../../../checks/link.ts';
import type { Sampled } from '../../../src/model/check.ts';
import { linkOf, sampled } from './evidence.ts';

export interface CardWindow {
  readonly driver?: string;
  /** What the driver counted in the window. */
  readonly statistics?: Readonly<Record<string, number>>;
  /** What the interface counted in the window. */
  readonly link?: Partial<Link>;
  /** Stuck transmit queues in the window. */
  readonly txTimeouts?: number;
  readonly settings?: NicSettings;
  /** What all of these had counted before. */
  readonly sinceBoot?: bigint;
}

export interface CardEvidence {
  readonly link: Sampled<Links>;
  readonly ethtool: Sampled<Nics>;
}

/** Evidence of one card, eth0. */
export function cardWindow({
  driver = 'nobody-knows',
  statistics = {},
  link = {},
  txTimeouts = 0,
  settings = {},
  sinceBoot = 1000n,
}: CardWindow): CardEvidence {
  const linkAt = (add: boolean): Link => {
    const last = linkOf({ rxPackets: 10_000n, txPackets: 10_000n, carrierChanges: 0n, ...link });
    const counters = Object.entries(last).map(([key, value]): [string, unknown] => [
      key,
      typeof value === 'bigint' ? sinceBoot + (add ? value : 0n) : value,
    ]);
    return { ...last, ...(Object.fromEntries(counters) as Partial<Link>) };
  };
  const nicAt = (add: boolean): Nic => ({
    statistics: new Map(
      Object.entries(statistics).map(([name, by]) => [name, sinceBoot + (add ? BigInt(by) : 0n)]),
    ),
    txTimeouts: sinceBoot + (add ? BigInt(txTimeouts) : 0n),
    ...(add ? { settings: { driver, ...settings } } : {}),
  });
  const links = (add: boolean): Links => ({ interfaces: new Map([['eth0', linkAt(add)]]) });
  const nics = (add: boolean): Nics => ({ interfaces: new Map([['eth0', nicAt(add)]]) });
  return {
    link: sampled(links(false), links(true)),
    ethtool: sampled(nics(false), nics(true)),
  };
}
