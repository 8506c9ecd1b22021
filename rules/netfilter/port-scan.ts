import { packetsOf, type DropFlow } from '../../src/model/drops.ts';

/** Of the ten flows that a capture names for each kind of drop. A refused service is one port, a group of them a few. */
const SCANNED_PORTS = 8;

/**
 * Whether these, the busiest flows of what was refused, each try another port: nobody's service is among them.
 * Nothing is known of fewer flows, nor of protocols without ports.
 */
export function isScan(flows: readonly DropFlow[]): boolean {
  const ports = new Map<number, number>();
  for (const { ports: of, packets } of flows) {
    if (of === undefined) return false;
    // Answers of a service that are refused go to many ports, too, but come from one, which is the lower.
    const port = Math.min(of.source, of.destination);
    ports.set(port, (ports.get(port) ?? 0) + packets);
  }
  return (
    ports.size >= SCANNED_PORTS &&
    Math.max(...ports.values()) <= (2 * packetsOf(flows)) / ports.size
  );
}
