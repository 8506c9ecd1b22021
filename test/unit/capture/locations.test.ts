import { expect, test } from 'vitest';
import { Locations } from '../../../src/capture/locations.ts';

const KALLSYMS = 'ffffffff81000000 T first\nffffffff81000100 t second.cold\n';

/** Counts how often the table was gone through. */
function tableOf(text: string) {
  const table = {
    passes: 0,
    async *read() {
      table.passes += 1;
      yield await Promise.resolve(Buffer.from(text));
    },
  };
  return table;
}

test('an address is looked up once, however often it is asked for', async () => {
  const table = tableOf(KALLSYMS);
  const locations = new Locations(() => table.read());
  await locations.learn([]);
  expect(table.passes).toBe(0);

  // Asked again before the first pass is over: no second one.
  await Promise.all([
    locations.learn(['ffffffff81000004']),
    locations.learn(['ffffffff81000004', 'ffffffff81000104']),
    locations.learn(['ffffffff81000104']),
  ]);
  expect(table.passes).toBe(2);
  expect(locations.known).toEqual(
    new Map([
      ['ffffffff81000004', { location: 'first' }],
      ['ffffffff81000104', { location: 'second' }],
    ]),
  );
  expect(locations.notes).toEqual([]);
});

test('hidden addresses and an unreadable table are said once', async () => {
  const hidden = new Locations(() => tableOf('0000000000000000 T first\n').read());
  await hidden.learn(['ffffffff81000004']);
  await hidden.learn(['ffffffff81000104']);
  expect(hidden.notes).toEqual([expect.stringContaining('kptr_restrict')]);

  const denied = new Locations(() => {
    throw Object.assign(new Error('no'), { code: 'EACCES' });
  });
  await denied.learn(['ffffffff81000004']);
  await denied.learn(['ffffffff81000004']);
  expect(denied.known.size).toBe(0);
  expect(denied.notes).toEqual([expect.stringContaining('EACCES')]);
});
