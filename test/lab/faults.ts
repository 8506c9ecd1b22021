import type { Fault } from './fault.ts';
import { load } from './load.ts';

/** All that the files in faults/ make. */
export const faults: readonly Fault[] = await load(new URL('faults/', import.meta.url));
