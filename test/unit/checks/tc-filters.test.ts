import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import qdisc, { parseQdiscs } from '../../../checks/qdisc.ts';
import { parseFilters, parseTcxPrograms } from '../../../checks/qdisc/filters.ts';
import { fakeHost } from './fake-host.ts';
import { garbledText } from './garbled-text.ts';

/** iproute2 6.1: a heading, then the filter. */
const bpf =
  '[{"protocol":"all","pref":49152,"kind":"bpf","chain":0},{"protocol":"all","pref":49152,"kind":"bpf","chain":0,"options":{"handle":"0x1","bpf_name":"drop.o:[classifier]","direct-action":true,"not_in_hw":true,"prog":{"id":6325,"name":"tc_drop_all","tag":"614b434cd8324ecc","jited":1}}}]';
const police =
  '[{"protocol":"ip","pref":1,"kind":"u32","chain":0,"options":{"fh":"800::800","actions":[{"order":1,"kind":"police","rate":1000},{"order":2}]}}]';

const qdiscs = (drops: number) =>
  JSON.stringify([
    { kind: 'clsact', handle: 'ffff:', parent: 'ffff:fff1', dev: 'eth0', drops, options: {} },
    { kind: 'fq_codel', handle: '0:', root: true, dev: 'eth0', drops: 9, options: {} },
  ]);

test('programs and kinds of action', () => {
  expect(parseFilters(bpf, 'ingress')).toEqual([
    {
      direction: 'ingress',
      kind: 'bpf',
      preference: 49_152,
      program: { id: 6325, name: 'tc_drop_all' },
      actions: [],
    },
  ]);
  expect(parseFilters(police, 'egress')).toMatchObject([
    { direction: 'egress', kind: 'u32', actions: ['police'] },
  ]);
});

test('filters are asked for only where the hooks dropped something', async () => {
  const first = parseQdiscs(qdiscs(5));
  if (first.status !== 'ok') throw new Error(first.reason);
  const readLast = async (drops: number) => {
    const commands = {
      'tc -s -j qdisc show': qdiscs(drops),
      'tc -j filter show dev eth0 ingress': bpf,
    };
    const context = { phase: 'last', interfaces: [], first: first.value } as const;
    const reading = await qdisc.read(fakeHost({ commands }), context);
    if (reading.status !== 'ok') throw new Error(reading.reason);
    return reading.value.filters;
  };
  expect(await readLast(5)).toBeUndefined();
  expect((await readLast(6))?.get('eth0')).toMatchObject([{ program: { id: 6325 } }]);
});

test('no text makes the parser throw', () => {
  fc.assert(
    fc.property(garbledText(police), (text) => {
      expect(parseFilters(text, 'ingress')).toBeInstanceOf(Array);
    }),
  );
});

const tcx = JSON.stringify([
  { device: 'eth0', direction: 'ingress', programs: [{ id: 7, name: 'deny' }, { name: 'x' }, 5] },
  { device: 'eth0', direction: 'sideways', programs: [{ id: 7, name: 'deny' }] },
  { direction: 'egress', programs: [{ id: 7, name: 'deny' }] },
]);

test('programs attached by tcx: in the last reading', async () => {
  const host = fakeHost({
    commands: { 'tc -s -j qdisc show': qdiscs(5), 'whydrop-tcx-programs': tcx },
  });
  const first = await qdisc.read(host, { phase: 'first', interfaces: [] });
  if (first.status !== 'ok') throw new Error(first.reason);
  expect(first.value.tcx).toBeUndefined();
  const context = { phase: 'last', first: first.value, interfaces: [] } as const;
  expect(await qdisc.read(host, context)).toMatchObject({
    value: {
      tcx: [{ device: 'eth0', direction: 'ingress', program: { id: 7, name: 'deny' } }],
    },
  });
});

test('garbage in place of tcx programs never throws', () => {
  const texts = fc.oneof(
    garbledText(tcx),
    fc
      .array(
        fc.record({
          device: fc.string(),
          direction: fc.constant('egress'),
          programs: fc.jsonValue(),
        }),
      )
      .map((value) => JSON.stringify(value)),
  );
  fc.assert(
    fc.property(texts, (text) => {
      expect(parseTcxPrograms(text)).toBeInstanceOf(Array);
    }),
  );
});
