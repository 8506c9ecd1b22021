import { stateDirectory } from '../fix/state-directory.ts';
import { tryCapabilities } from '../host/self-check/index.ts';
import { possibleDiagnosis, type SelfCheck } from '../model/self-check.ts';
import { renderJson } from '../render/json.ts';
import { renderSelfCheck } from '../render/self-check.ts';
import { lookOf, print, type LookFlags } from './output.ts';
import { version } from './version.ts';

/** As of a report: a warning for what is missing, 3 where there would be no verdict. */
const EXIT_CODES = { full: 0, partial: 1, none: 3 } as const;

/** `whydrop self-check`. @returns the exit code */
export async function runSelfCheck(flags: LookFlags & { json?: boolean }): Promise<number> {
  const { facts, capabilities } = await tryCapabilities(stateDirectory(process.env));
  const { hostname, kernel, distribution, root } = facts;
  const diagnosis = possibleDiagnosis(capabilities);
  const result: SelfCheck = {
    schema: 'whydrop.self-check/1',
    tool: { name: 'whydrop', version },
    host: { hostname, kernel, distribution, root },
    diagnosis,
    capabilities: [...capabilities],
  };
  await print(flags.json === true ? renderJson(result) : renderSelfCheck(result, lookOf(flags)));
  return EXIT_CODES[diagnosis];
}
