import type { Reason } from './reason.ts';
import { ipReasons } from './reasons/ip.ts';
import { linkReasons } from './reasons/link.ts';
import { policyReasons } from './reasons/policy.ts';
import { socketReasons } from './reasons/socket.ts';
import { subsystemReasons } from './reasons/subsystems.ts';
import { tcpReasons } from './reasons/tcp.ts';

/** Every drop reason of the kernel's core, of any release, and those of its subsystems; sorted by name. */
export const reasons: readonly Reason[] = [
  ...linkReasons,
  ...policyReasons,
  ...ipReasons,
  ...tcpReasons,
  ...socketReasons,
  ...subsystemReasons,
].sort((a, b) => (a.name < b.name ? -1 : 1));

const byName = new Map(
  reasons.flatMap((reason) =>
    [reason.name, ...(reason.aliases ?? [])].map((name) => [name, reason]),
  ),
);

/** By name or alias, in any case, with or without `SKB_DROP_REASON_`. */
export function findReason(name: string): Reason | undefined {
  return byName.get(name.toUpperCase().replace(/^SKB_DROP_REASON_/, ''));
}
