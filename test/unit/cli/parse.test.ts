import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseDuration, parseIgnore, presentCauseIds } from '../../../src/cli/parse.ts';
import { UsageError } from '../../../src/cli/usage-error.ts';

describe('parseDuration', () => {
  test.each([
    ['0', 0],
    ['5', 5],
    ['5s', 5],
    ['0.5s', 0.5],
    ['500ms', 0.5],
    ['2m', 120],
    [' 10s ', 10],
    ['3600', 3600],
    ['60m', 3600],
  ])('%s is %d seconds', (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds);
  });

  test.each([
    '',
    's',
    '5 s',
    '-1',
    '+5',
    '5h',
    '1e3',
    '5S',
    '.5s',
    '5.',
    '0x10',
    '∞',
    'NaN',
    '5s5s',
  ])('"%s" is refused, with an example', (text) => {
    expect(() => parseDuration(text)).toThrow(UsageError);
    expect(() => parseDuration(text)).toThrow(/such as 5s, 500ms or 2m/);
  });

  test.each(['3601', '61m', '99999999999999999999s', `${'9'.repeat(400)}s`])(
    '%s is longer than an hour',
    (text) => {
      expect(() => parseDuration(text)).toThrow('one hour is the longest');
    },
  );

  test('any text is a number of seconds up to an hour, or bad usage', () => {
    const secondsOrRefusal = (text: string): number => {
      try {
        return parseDuration(text);
      } catch (error) {
        return error instanceof UsageError ? 0 : Number.NaN;
      }
    };
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(secondsOrRefusal(text)).toBeGreaterThanOrEqual(0);
        expect(secondsOrRefusal(text)).toBeLessThanOrEqual(3600);
      }),
    );
  });
});

describe('parseIgnore', () => {
  test('an id, alone or at a scope', () => {
    expect(parseIgnore('ip-rpfilter')).toMatchObject({ id: 'ip-rpfilter' });
    expect(parseIgnore('ip-rpfilter')).not.toHaveProperty('scope');
    expect(parseIgnore('udp-rcvbuf-full@udp 0.0.0.0:53')).toMatchObject({
      id: 'udp-rcvbuf-full',
      scope: 'udp 0.0.0.0:53',
    });
  });

  test('a scope may hold an @ itself', () => {
    expect(parseIgnore('a@b@c')).toMatchObject({ id: 'a', scope: 'b@c' });
  });

  test('the reason names the option', () => {
    expect(parseIgnore('a@b').reason).toContain('--ignore a@b');
  });
});

describe('presentCauseIds', () => {
  const causes = [
    { id: 'ip-rpfilter', aliases: ['rp-filter'] },
    { id: 'nf-rule-drop', aliases: [] },
    { id: 'udp-rcvbuf-full', aliases: [] },
  ];

  test('known ids stay, older ones become the present, a fix stays with its cause', () => {
    const given = ['nf-rule-drop', 'rp-filter', 'rp-filter/loose-mode-eth0'];
    expect(presentCauseIds('--only', given, causes)).toEqual([
      'nf-rule-drop',
      'ip-rpfilter',
      'ip-rpfilter/loose-mode-eth0',
    ]);
  });

  test.each([
    ['rpfilter', 'did you mean ip-rpfilter?'],
    ['ip-rpfilter-strict', 'did you mean ip-rpfilter?'],
    ['rp-filt', 'did you mean rp-filter?'],
    ['nonsense', '`whydrop list causes` names them all'],
    ['IP-RPFILTER', '`whydrop list causes` names them all'],
  ])('%s: %s', (id, hint) => {
    expect(() => presentCauseIds('--only', ['ip-rpfilter', id], causes)).toThrow(
      new UsageError(`--only ${id}: there is no such cause; ${hint}`),
    );
  });
});
