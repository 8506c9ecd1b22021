import { expect, test } from 'vitest';

import { planFixes, type FixPlan } from '../../../src/fix/plan.ts';
import type { ReportFix } from '../../../src/model/report.ts';
import { cause, fix, report, sysctl } from './fixture.ts';

const backlog = fix('raise-backlog', [sysctl('net.core.netdev_max_backlog', '1000', '2000', true)]);

function outline({ apply, printed }: FixPlan): { apply: string[]; printed: [string, string][] } {
  return {
    apply: apply.map(({ name }) => name),
    printed: printed.map(({ name, why }) => [name, why]),
  };
}

test('a sysctl fix is applied, in the namespace of its cause', () => {
  const plan = planFixes(report([cause('softnet-backlog', [backlog], { scope: { netns: 'b' } })]));
  expect(outline(plan)).toEqual({ apply: ['softnet-backlog/raise-backlog'], printed: [] });
  expect(plan.apply[0]?.netns).toBe('b');
  expect(plan.refused).toBeUndefined();
});

test('a recording is never a reason to write', () => {
  const plan = planFixes(report([cause('softnet-backlog', [backlog])], true));
  expect(plan.refused).toContain('recording');
  expect(plan.apply).toEqual([]);
  expect(plan.printed).toHaveLength(1);
});

test.each<[string, ReportFix, RegExp]>([
  [
    'a manual step beside a sysctl',
    fix('f', [
      sysctl('net.core.somaxconn', '1', '2'),
      { kind: 'manual', text: 'restart it', command: '' },
    ]),
    /only you/,
  ],
  ['no steps', fix('f', []), /nothing to change/],
  [
    'a key that runs programs',
    fix('f', [sysctl('kernel.modprobe', 'a', '/tmp/x')]),
    /does not write/,
  ],
  ['a way out of /proc/sys', fix('f', [sysctl('net.//.x', '0', '1')]), /does not write/],
  ['a value of two lines', fix('f', [sysctl('net.core.somaxconn', '1', '2\n3')]), /does not write/],
  [
    'one key twice',
    fix('f', [sysctl('net.core.somaxconn', '1', '2'), sysctl('net.core.somaxconn', '1', '3')]),
    /twice/,
  ],
  [
    'a disruptive fix not chosen by name',
    fix('f', [sysctl('net.core.somaxconn', '1', '2')], { risk: 'disruptive' }),
    /choose it by its name, c\/f/,
  ],
])('printed only: %s', (_title, shown, why) => {
  const { apply, printed } = planFixes(report([cause('c', [shown])]), { only: ['c'] });
  expect(apply).toEqual([]);
  expect(printed[0]?.why).toMatch(why);
});

test('a disruptive fix chosen by name is applied, unless only safe ones are wanted', () => {
  const disruptive = fix('f', [sysctl('net.core.somaxconn', '1', '2')], { risk: 'disruptive' });
  const found = report([cause('c', [disruptive])]);
  expect(outline(planFixes(found, { only: ['c/f'] })).apply).toEqual(['c/f']);
  expect(outline(planFixes(found, { only: ['c/f'], safeOnly: true })).apply).toEqual([]);
});

test('what is only possible, or cost nothing, waits to be chosen', () => {
  const found = report([
    cause('unsure', [backlog], { confidence: 'possible' }),
    cause('quiet', [fix('f', [sysctl('net.core.somaxconn', '1', '2')])], { packets: 0 }),
  ]);
  expect(outline(planFixes(found)).apply).toEqual([]);
  expect(outline(planFixes(found, { only: ['unsure', 'quiet'] })).apply).toHaveLength(2);
});

test('names that match nothing are reported', () => {
  const plan = planFixes(report([cause('c', [backlog])]), { only: ['c', 'd', 'c/other'] });
  expect(plan.unknown).toEqual(['d', 'c/other']);
});

test('of two causes that want one key, the larger number wins, and the loser waits as a whole', () => {
  const larger = fix('more', [sysctl('net.core.netdev_max_backlog', '1000', '4000', true)]);
  const other = fix('other', [sysctl('net.core.somaxconn', '1', '2')]);
  const plan = planFixes(report([cause('a', [backlog, other]), cause('b', [larger])]));
  const why = 'b/more sets the same key: first see what it does';
  expect(outline(plan)).toEqual({
    apply: ['b/more'],
    printed: [
      ['a/raise-backlog', why],
      ['a/other', why],
    ],
  });
});

test('of two values that are no numbers the first wins; an equal number as well', () => {
  for (const [first, second] of [
    ['4096 1 2', '4096 1 9'],
    ['2000', '2000'],
  ] as const) {
    const plan = planFixes(
      report([
        cause('a', [fix('f', [sysctl('net.ipv4.tcp_rmem', '0', first)])]),
        cause('b', [fix('f', [sysctl('net.ipv4.tcp_rmem', '0', second)])]),
      ]),
    );
    expect(outline(plan).apply).toEqual(['a/f']);
  }
});

test('alternatives of one cause, and one key in two namespaces, are no conflict', () => {
  const key = 'net.ipv4.conf.lo.rp_filter';
  const plan = planFixes(
    report([
      cause('a', [fix('f', [sysctl(key, '1', '2')]), fix('g', [sysctl(key, '1', '0')])]),
      cause('a', [fix('f', [sysctl(key, '1', '2')])], { scope: { netns: 'b' } }),
    ]),
  );
  expect(outline(plan).apply).toEqual(['a/f', 'a/g', 'a/f']);
});

test('a restart that must follow for new sockets does not stand in the way of the setting', () => {
  const raise = fix(
    'raise-rmem-default',
    [
      sysctl('net.core.rmem_default', '212992', '425984', true),
      { kind: 'manual', text: 'Restart named.', command: '' },
    ],
    { takesEffect: 'new-sockets' },
  );
  const plan = planFixes(report([cause('udp-rcvbuf-full', [raise])]));
  expect(outline(plan)).toEqual({ apply: ['udp-rcvbuf-full/raise-rmem-default'], printed: [] });
  expect(plan.apply[0]?.steps.map(({ kind }) => kind)).toEqual(['sysctl']);
});
