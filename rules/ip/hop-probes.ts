import { packetsOf, type DropCount, type DropFlow } from '../../src/model/drops.ts';

/** ICMP echo request, of IPv4 and IPv6: ping, `mtr`, `traceroute -I`. */
const ECHO_REQUESTS: ReadonlySet<number> = new Set([8, 128]);
/** `traceroute` counts up from the first (traceroute(8)); firewalls know them as its range. */
const FIRST_PORT = 33_434;
const LAST_PORT = 33_534;
/** Ten `mtr` at their fastest for users who are not root. A flood of pings in a circle makes more. */
const MOST_PROBES_PER_SECOND = 50;

/**
 * Whether the packets whose hops were used up look like those of traceroute and mtr, as far as the capture tells
 * flows. A circle of routers eats packets of all kinds.
 */
export function areProbes(drops: readonly DropCount[], { seconds }: { seconds: number }): boolean {
  const flows = drops.flatMap(({ details }) => details?.topFlows ?? []);
  return (
    flows.length > 0 && flows.every(isProbe) && packetsOf(drops) <= MOST_PROBES_PER_SECOND * seconds
  );
}

function isProbe({ icmp, ports }: DropFlow): boolean {
  if (icmp !== undefined) return ECHO_REQUESTS.has(icmp.type);
  return ports !== undefined && ports.destination >= FIRST_PORT && ports.destination <= LAST_PORT;
}
