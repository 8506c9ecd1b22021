import { load } from './load.ts';
import type { Workload } from './workload.ts';

/** All that the files in healthy/ do. */
export const workloads: readonly Workload[] = await load(new URL('healthy/', import.meta.url));
