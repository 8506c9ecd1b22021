import type { Link, Links } from '../../checks/link.ts';
import type { Sampled } from '../../src/model/check.ts';
import type { DropCapture, DropCount } from '../../src/model/drops.ts';
import type { Claim } from '../../src/model/rule.ts';

/** Where a device frees packets, and with which reasons; on kernels without reasons the function says it. */
export interface Spot {
  readonly reasons: readonly string[];
  readonly locations: readonly string[];
}

/** Captured there; of one interface, where the capture tells it. */
export function dropsAt(
  capture: DropCapture | undefined,
  { reasons, locations }: Spot,
  name?: string,
): readonly DropCount[] {
  return (capture?.drops ?? [])
    .filter(({ location }) => locations.includes(location))
    .filter(({ reason }) => reason === null || reasons.includes(reason))
    .filter(({ details }) => {
      const seen = details?.interface ?? undefined;
      return name === undefined || seen === undefined || seen === name;
    });
}

export function claimsAt(
  { reasons, locations }: Spot,
  limits: Pick<Claim, 'interface' | 'packets'>,
): readonly Claim[] {
  return [
    { reason: reasons, location: locations, ...limits },
    { reason: null, location: locations, ...limits },
  ];
}

export interface SettledLink {
  readonly name: string;
  readonly before: Link;
  readonly now: Link;
}

/** Interfaces that were there, up, and kept their link all through the window: no container that starts or stops. */
export function settledLinks({ first, last }: Sampled<Links>): readonly SettledLink[] {
  return [...last.interfaces].flatMap(([name, now]) => {
    const before = first.interfaces.get(name);
    return before?.ifindex === now.ifindex &&
      before.up &&
      now.up &&
      before.carrierChanges === now.carrierChanges
      ? [{ name, before, now }]
      : [];
  });
}
