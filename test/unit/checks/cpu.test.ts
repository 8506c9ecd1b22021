import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import cpu, { parseCpuTimes } from '../../../checks/cpu.ts';
import { unread } from '../../../src/model/reading.ts';
import { fakeHost } from './fake-host.ts';
import { garbledText } from './garbled-text.ts';

/** Linux 6.18, shortened. */
const linux618 = `cpu  1410174 7389 330407 1426239 7201 0 57818 37621 0 0
cpu0 710319 4304 153030 728397 2211 0 21343 19315 50 5
cpu3 699855 3084 177377 697842 4990 0 36475 18305 0 0
intr 22147258 0 0 1
ctxt 54859682
softirq 449186687 0 1104049 9212 435636854 559749 0 75 2278538 1416714 8181496
`;
/** CentOS 5 (2.6.18): no time of guests. */
const linux2618 = 'cpu  40 0 20 900 5 1 2 3\ncpu0 40 0 20 900 5 1 2 3\nintr 5\n';

test('one entry for each CPU, not for their sum; guests are not counted twice', () => {
  expect(parseCpuTimes(linux618)).toEqual({
    status: 'ok',
    value: {
      cpus: [
        { cpu: 0, total: 1638919n, softirq: 21343n, steal: 19315n },
        { cpu: 3, total: 1637928n, softirq: 36475n, steal: 18305n },
      ],
    },
  });
});

test('an old kernel', () => {
  expect(parseCpuTimes(linux2618)).toMatchObject({
    value: { cpus: [{ total: 971n, softirq: 2n, steal: 3n }] },
  });
});

test.each(['', 'cpu  1 2 3 4 5 6 7 8\n', 'cpu0 1 2 3\n', 'cpu0 1 2 3 4 5 6 x 8\n'])(
  'nothing usable is malformed: %j',
  (text) => {
    expect(parseCpuTimes(text).status).toBe('malformed');
  },
);

test('never throws on garbage', () => {
  fc.assert(
    fc.property(garbledText(linux618), (text) => {
      const reading = parseCpuTimes(text);
      expect(reading.status === 'ok' ? reading.value.cpus.length : 1).toBeGreaterThan(0);
    }),
  );
});

test('passes on why the file cannot be read', async () => {
  const denied = unread('denied', 'no');
  const host = fakeHost({ files: { '/proc/stat': denied } });
  expect(await cpu.read(host, { phase: 'first', interfaces: [] })).toEqual(denied);
});
