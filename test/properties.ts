// How the property tests choose their inputs: the same in every run, so that a test that turns red
// means a changed program. `npm run fuzz` takes others, more of them, and new ones each time.
import * as fc from 'fast-check';

const runs = process.env['PROPERTY_RUNS'];
fc.configureGlobal(runs === undefined ? { seed: 20_261_122 } : { numRuns: Number(runs) });
