import type { DropCount, DropFlow } from '../src/model/drops.ts';

/**
 * Whether all that the capture saw of these was for a group or for everybody: chatter nobody waits for.
 * Undefined: it does not tell flows.
 */
export function onlyToGroups(drops: readonly DropCount[]): boolean | undefined {
  const flows = drops.flatMap(({ details }) => details?.topFlows ?? []);
  return flows.length === 0 ? undefined : flows.every((flow) => isToGroup(flow));
}

export function isToGroup({ destination }: DropFlow): boolean {
  return GROUP.test(destination);
}

/** IPv4 and IPv6 multicast, broadcast, and MAC addresses of groups (an odd first byte). */
const GROUP =
  /^(?:22[4-9]|23\d)\.|^255\.255\.255\.255$|^ff[0-9a-f]{2}:|^[0-9a-f][13579bdf](?::[0-9a-f]{2}){5}$/i;
