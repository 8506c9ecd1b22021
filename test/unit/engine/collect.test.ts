import { performance } from 'node:perf_hooks';
import { afterEach, expect, test, vi } from 'vitest';
import { collect } from '../../../src/engine/collect.ts';
import { defineFollowUp, defineWatch, type AnyCheck } from '../../../src/model/check.ts';
import type { DropCapture } from '../../../src/model/drops.ts';
import { ok, unread, type Reading } from '../../../src/model/reading.ts';
import { details } from '../rules/evidence.ts';
import { captureOf, capturing, clockHost, counting, quick, reading } from './scripted.ts';

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

async function readingOf(check: AnyCheck, options = {}): Promise<Reading<unknown> | undefined> {
  const collected = await collect(clockHost(), [check], { ...quick, ...options });
  return collected.evidence.get(check)?.reading;
}

test('the capture encloses both readings, and its marks the window', async () => {
  const host = clockHost();
  const note = <Value>(text: string, value: Value): Promise<Value> => {
    host.log.push(text);
    return Promise.resolve(value);
  };
  const checks = [
    reading('a', ok(1), { read: (_, { phase }) => note(`read ${phase}`, ok(1)) }),
    capturing(ok(captureOf([])), {
      start: () =>
        note(
          'start',
          ok({
            mark: (moment: string) => host.log.push(moment),
            stop: () => note('stop', ok(captureOf([]))),
          }),
        ),
    }),
  ];
  await collect(host, checks, quick);
  expect(host.log).toEqual([
    'phase first',
    'start',
    'read first',
    'window-open',
    'window-close',
    'phase last',
    'read last',
    'stop',
  ]);
});

test.each<[string, Reading<DropCapture>, unknown]>([
  [
    'of this namespace only',
    ok(
      captureOf([
        { details: details({ netns: 7 }), packets: 3 },
        { details: details({ netns: 8 }), packets: 5 },
      ]),
    ),
    ok([3]),
  ],
  ['not of a capture that tells no namespaces', ok(captureOf([{}])), { status: 'not-applicable' }],
  ['not without a capture', unread('denied', 'no'), { status: 'not-applicable' }],
])('follow-ups ask about the drops of the capture, %s', async (_, captured, expected) => {
  const check = defineFollowUp({
    id: 'f',
    title: '',
    sources: [],
    read: (_, { drops }) => Promise.resolve(ok(drops.map(({ packets }) => packets))),
  });
  const host = clockHost({ netnsInode: 7 });
  const { evidence } = await collect(host, [check, capturing(captured)], quick);
  expect(evidence.get(check)?.reading).toMatchObject(expected as object);
});

test('samples between the ends, at their pace, each in a phase of its own', async () => {
  const host = clockHost();
  const times: number[] = [];
  const check = reading('a', ok(0), {
    sampleEveryMs: 250,
    read: () => {
      times.push(host.now() - 1_000_000);
      return Promise.resolve(ok(times.length));
    },
  });
  const { evidence, seconds } = await collect(host, [check], { ...quick, seconds: 1 });
  expect(times).toEqual([0, 250, 500, 750, 1000]);
  expect(host.log).toEqual([
    'phase first',
    'phase sample-1',
    'phase sample-2',
    'phase sample-3',
    'phase last',
  ]);
  expect(seconds).toBe(1);
  expect(evidence.get(check)?.reading).toEqual(ok({ first: 1, last: 5, samples: [1, 2, 3, 4, 5] }));
});

test('slow samples are left out, and do not stretch the window', async () => {
  const host = clockHost();
  const check = reading('a', ok(0), {
    sampleEveryMs: 250,
    read: (_, { phase }) => {
      if (phase === 'sample') host.pass(3000);
      return Promise.resolve(ok(0));
    },
  });
  const { evidence, seconds } = await collect(host, [check], quick);
  expect(seconds).toBeLessThanOrEqual(5 + 3);
  // First, at 250 ms, at 3,250 ms (over at 6,250 ms), last.
  expect(evidence.get(check)?.reading).toMatchObject({ value: { samples: [0, 0, 0, 0] } });
});

test('a sample that fails is missing, no more', async () => {
  let asked = 0;
  const window = await readingOf(
    reading('a', ok(0), {
      sampleEveryMs: 2000,
      read: (_, { phase }) => {
        asked += 1;
        return Promise.resolve(phase === 'sample' ? unread('timeout', 'slow') : ok(asked));
      },
    }),
  );
  expect(asked).toBe(4);
  expect(window).toEqual(ok({ first: 1, last: 4, samples: [1, 4] }));
});

test.each(['absent', 'denied', 'malformed', 'not-applicable'] as const)(
  'what could not be looked at (%s) stays a value, whichever end it happened at',
  async (status) => {
    const cannot = unread(status, 'why not');
    expect(await readingOf(reading('a', cannot))).toEqual(cannot);
    const atTheEnd = reading('a', ok(1), {
      read: (_, { phase }) => Promise.resolve(phase === 'last' ? cannot : ok(1)),
    });
    expect(await readingOf(atTheEnd)).toEqual(cannot);
  },
);

test('a check without a first reading is not asked again', async () => {
  let asked = 0;
  await readingOf(
    reading('a', ok(0), {
      sampleEveryMs: 250,
      read: () => {
        asked += 1;
        return Promise.resolve(unread('absent', 'not here'));
      },
    }),
  );
  expect(asked).toBe(1);
});

test('the first value is handed to the later readings', async () => {
  const seen: unknown[] = [];
  await readingOf(
    reading('a', ok('v'), {
      read: (_, { phase, first, interfaces }) => {
        seen.push([phase, first, interfaces]);
        return Promise.resolve(ok('v'));
      },
    }),
    { interfaces: ['eth0'] },
  );
  expect(seen).toEqual([
    ['first', undefined, ['eth0']],
    ['last', 'v', ['eth0']],
  ]);
});

test('notes of both ends are told once', async () => {
  expect(await readingOf(reading('a', ok(1, ['one line was garbled'])))).toEqual(
    ok({ first: 1, last: 1, samples: [1, 1] }, ['one line was garbled']),
  );
});

/** Of each second, the process waits for so many milliseconds; the rest of it it is busy. */
function waiting(msOfSecond: number): void {
  vi.useFakeTimers();
  const begun = Date.now();
  vi.spyOn(performance, 'eventLoopUtilization').mockImplementation(() => {
    const idle = ((Date.now() - begun) * msOfSecond) / 1000;
    return { idle, active: 0, utilization: 0 };
  });
}

test('on a starved machine an answer is waited for as long as this process is busy', async () => {
  waiting(100);
  const answering = (afterMs: number) => () =>
    new Promise<Reading<number>>((resolve) => {
      setTimeout(() => resolve(ok(1)), afterMs);
    });
  const slow = reading('slow', ok(1), { timeoutMs: 3000, read: answering(20_000) });
  const hanging = reading('hanging', ok(1), { timeoutMs: 3000, read: answering(40_000) });
  const collecting = collect(clockHost(), [slow, hanging], quick);
  await vi.advanceTimersByTimeAsync(120_000);
  const { evidence } = await collecting;
  expect(evidence.get(slow)?.reading.status).toBe('ok');
  expect(evidence.get(hanging)?.reading.status).toBe('timeout');
});

test('a check that hangs costs its time limit, and only itself', async () => {
  waiting(1000);
  const hanging = reading('slow', ok(1), {
    timeoutMs: 4000,
    read: () =>
      new Promise(() => {
        // Never answers.
      }),
  });
  const other = reading('other', ok(1));
  const collecting = collect(clockHost(), [hanging, other], quick);
  await vi.advanceTimersByTimeAsync(3999);
  // Still waiting for it.
  expect(vi.getTimerCount()).toBe(1);
  await vi.advanceTimersByTimeAsync(1);
  const { evidence } = await collecting;
  expect(evidence.get(hanging)?.reading).toEqual(
    unread('timeout', 'slow did not answer within 4 s'),
  );
  expect(evidence.get(other)?.reading.status).toBe('ok');
  expect(vi.getTimerCount()).toBe(0);
});

test.each([
  ['rejects', () => Promise.reject(new Error('boom'))],
  [
    'throws at once',
    () => {
      throw new Error('boom');
    },
  ],
])('a check that %s crashes alone', async (_, read) => {
  const bad = reading('bad', ok(1), { read });
  const good = reading('good', ok(1));
  const { evidence } = await collect(clockHost(), [bad, good], quick);
  expect(evidence.get(bad)?.reading).toEqual(unread('crashed', 'boom'));
  expect(evidence.get(good)?.reading.status).toBe('ok');
});

test('counters that cannot be told are a crash of that check', async () => {
  const bad = reading('bad', ok(1), {
    counters: () => {
      throw new Error('no counters');
    },
  });
  expect(await readingOf(bad)).toEqual(unread('crashed', 'no counters'));
});

test.each([
  ['start', { start: () => Promise.reject(new Error('boom')) }],
  [
    'mark',
    {
      start: () =>
        Promise.resolve(
          ok({
            mark: () => {
              throw new Error('boom');
            },
            stop: () => Promise.resolve(ok(captureOf([]))),
          }),
        ),
    },
  ],
  [
    'stop',
    {
      start: () =>
        Promise.resolve(ok({ mark: () => 0, stop: () => Promise.reject(new Error('boom')) })),
    },
  ],
])('a capture that fails at %s crashes alone', async (_, broken) => {
  expect(await readingOf(capturing(ok(captureOf([])), broken))).toEqual(unread('crashed', 'boom'));
});

test('a capture that starts after its time limit is stopped', async () => {
  waiting(1000);
  let stopped = false;
  const watch = {
    mark: () => undefined,
    stop: () => {
      stopped = true;
      return Promise.resolve(ok(captureOf([])));
    },
  };
  const late = capturing(ok(captureOf([])), {
    start: () =>
      new Promise((resolve) => {
        setTimeout(() => resolve(ok(watch)), 60_000);
      }),
  });
  const collecting = collect(clockHost(), [late], quick);
  await vi.advanceTimersByTimeAsync(15_000);
  const { evidence } = await collecting;
  expect(evidence.get(late)?.reading.status).toBe('timeout');
  expect(stopped).toBe(false);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(stopped).toBe(true);
});

test('duration 0 reads once, and watches nothing', async () => {
  let started = false;
  const watched = defineWatch<number>({
    id: 'drops',
    title: '',
    sources: [],
    start: () => {
      started = true;
      return Promise.resolve(unread('absent', ''));
    },
  });
  const host = clockHost();
  const sampled = counting({ n: { first: 1n, last: 9n } }, { sampleEveryMs: 1 });
  const { evidence, rises, seconds } = await collect(host, [sampled, watched], {
    ...quick,
    seconds: 0,
  });
  expect(started).toBe(false);
  expect(host.log).toEqual(['phase first']);
  expect(evidence.get(watched)?.reading.status).toBe('not-applicable');
  expect(evidence.get(sampled)?.reading).toMatchObject({
    value: { samples: [new Map([['n', 1n]])] },
  });
  // One reading is no window: nothing rose.
  expect([...rises]).toEqual([['counts n', 0]]);
  expect(seconds).toBe(0);
});

test('a window that is broken off ends with a last reading, and has its real length', async () => {
  const host = clockHost();
  const broken = new AbortController();
  const check = counting(
    { n: { first: 1n, last: 4n } },
    {
      sampleEveryMs: 1000,
      read: (_, { phase }) => {
        if (host.now() - 1_000_000 >= 2000) broken.abort();
        return Promise.resolve(ok(new Map([['n', phase === 'last' ? 4n : 1n]])));
      },
    },
  );
  const { rises, seconds } = await collect(host, [check], { ...quick, signal: broken.signal });
  expect(seconds).toBe(2);
  expect(rises.get('counts n')).toBe(3);
  expect(host.log).toEqual(['phase first', 'phase sample-1', 'phase sample-2', 'phase last']);
});

test('progress is told in order', async () => {
  const stages: string[] = [];
  await collect(clockHost(), [], { ...quick, onProgress: ({ stage }) => stages.push(stage) });
  expect(stages).toEqual(['starting', 'first', 'window', 'last']);
});

test('counters: what rose, what went down, what came in the window', async () => {
  const check = counting(
    {},
    {
      read: (_, { phase }) =>
        Promise.resolve(
          ok(
            new Map(
              phase === 'first'
                ? [
                    ['up', 2n ** 64n - 10n],
                    ['down', 700n],
                    ['gone', 1n],
                  ]
                : [
                    ['up', 2n ** 64n - 3n],
                    ['down', 8n],
                    ['new', 5n],
                  ],
            ),
          ),
        ),
    },
  );
  const { rises, wentDown } = await collect(clockHost(), [check], quick);
  expect([...rises]).toEqual([
    ['counts up', 7],
    ['counts down', 0],
  ]);
  expect(wentDown).toEqual(['counts down']);
});

test('a counter of 32 bits that wraps has risen; one of 64 bits was reset', async () => {
  const ends = { n: { first: 0xffff_fff0n, last: 0x10n } };
  const wide = await collect(clockHost(), [counting(ends)], quick);
  expect([wide.rises.get('counts n'), wide.wentDown]).toEqual([0, ['counts n']]);
  const narrow = await collect(clockHost(), [counting(ends, { counterBits: 32 })], quick);
  expect([narrow.rises.get('counts n'), narrow.wentDown]).toEqual([0x20, []]);
});
