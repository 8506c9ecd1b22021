import { readKallsyms } from './kallsyms.ts';
import { resolveSymbols, type Location } from './symbols.ts';
import { errorCode } from './unavailable.ts';

/**
 * Finds the functions of some addresses in the running kernel.
 *
 * @param addresses as resolveSymbols() wants them
 * @returns `note`: why drops are shown by raw address, if they are
 */
export async function resolveLocations(addresses: ReadonlySet<string>): Promise<{
  readonly locations: ReadonlyMap<string, Location>;
  readonly note: string | null;
}> {
  if (addresses.size === 0) return { locations: new Map(), note: null };
  try {
    const { locations, hidden } = await resolveSymbols(addresses, readKallsyms());
    const note =
      'The kernel hides function addresses, so drops are shown by raw address. This helps: sysctl kernel.kptr_restrict=1';
    return { locations, note: hidden ? note : null };
  } catch (error) {
    return {
      locations: new Map(),
      note: `/proc/kallsyms cannot be read (${errorCode(error)}), so drops are shown by raw address.`,
    };
  }
}
