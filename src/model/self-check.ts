/**
 * What `whydrop self-check --json` prints, version 1. Stable as the report is; the JSON Schema in
 * docs/self-check.schema.json is generated from this file.
 */
export interface SelfCheck {
  schema: 'whydrop.self-check/1';
  tool: { name: 'whydrop'; version: string };
  host: { hostname: string; kernel: string; distribution: string; root: boolean };
  diagnosis: PossibleDiagnosis;
  capabilities: Capability[];
}

/** What a report on this host can be. `partial`: something it would tell is missing. `none`: no verdict. */
export type PossibleDiagnosis = 'full' | 'partial' | 'none';

/** Something that whydrop uses. */
export interface Capability {
  /** `bpf`, `nft` … */
  id: string;
  group: CapabilityGroup;
  title: string;
  /** `not-needed`: it is not there, and nothing is lost by that on this host now. */
  status: 'ok' | 'missing' | 'not-needed';
  /** What was found, or why it is missing. From the machine in part: untrusted. */
  found: string;
  /** What is lost without it. Absent: nothing, or what is said elsewhere. */
  without?: string;
  /** How to get it. */
  help?: string;
}

/** `fix` is not needed for a diagnosis. */
export type CapabilityGroup = 'capture' | 'tools' | 'system' | 'fix';

/** Whatever else there is: a verdict needs one of the two ways to watch drops. */
export function possibleDiagnosis(capabilities: readonly Capability[]): PossibleDiagnosis {
  const watches = capabilities.some(
    ({ id, status }) => (id === 'bpf' || id === 'tracefs') && status === 'ok',
  );
  if (!watches) return 'none';
  return capabilities.some(({ group, status }) => group !== 'fix' && status === 'missing')
    ? 'partial'
    : 'full';
}
