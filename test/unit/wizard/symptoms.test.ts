import { expect, test } from 'vitest';
import { rules } from '../../../rules/index.ts';
import { symptoms } from '../../../src/wizard/symptoms.ts';

test.each(symptoms)('$name', ({ name, advice, causes }) => {
  const known = rules.map(({ id }) => id);
  for (const id of causes) expect(known).toContain(id);
  // Two columns for the cursor: a list on 80 columns must not wrap.
  expect(name.length).toBeLessThanOrEqual(78);
  expect(`? ${advice} How long shall I watch?`.length).toBeLessThanOrEqual(80);
});
