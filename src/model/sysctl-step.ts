import type { FixStep } from './fix.ts';
import { isHostWide } from './sysctl-key.ts';

/** A step that sets a kernel setting from the value seen to a better one. */
export function sysctlStep(key: string, from: string | number, to: string | number): FixStep {
  return { kind: 'sysctl', key, from: String(from), to: String(to), hostWide: isHostWide(key) };
}
