import type { Capability } from '../../model/self-check.ts';
import type { HostFacts } from '../../model/host.ts';
import { readFacts } from '../facts.ts';
import { captureCapabilities } from './capture.ts';
import { systemCapabilities } from './system.ts';
import { toolCapabilities } from './tools.ts';

export interface Capabilities {
  readonly facts: HostFacts;
  readonly capabilities: readonly Capability[];
}

/** Tries everything that whydrop uses on this host, and leaves it as it was. */
export async function tryCapabilities(stateDirectory: string): Promise<Capabilities> {
  const facts = await readFacts(null, null);
  const groups = await Promise.all([
    captureCapabilities(),
    toolCapabilities(),
    systemCapabilities(facts, stateDirectory),
  ]);
  return { facts, capabilities: groups.flat() };
}
