import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseIprouteJson } from '../../../checks/iproute-json.ts';
import { policyRule } from '../../../checks/policy-rules.ts';

/** `ip -j rule` of iproute2 6.1 on Linux 6.18. */
const listed = `[{"priority":0,"src":"all","table":"local"},
{"priority":9,"src":"all","iif":"nosuch","iif_detached":null,"action":"prohibit"},
{"priority":49,"src":"10.9.9.9","oif":"r1","action":"unreachable","protocol":"static"},
{"priority":50,"src":"all","goto":60},
{"priority":60,"src":"all","nop":null},
{"priority":32760,"src":"all","uid_start":0,"uid_end":5,"table":"7","suppress_prefixlen":0},
{"priority":32761,"src":"all","tos":"0x10","ipproto":"udp","sport_start":5,"sport_end":9,"table":"7"},
{"priority":32763,"not":null,"src":"10.0.0.0","srclen":8,"table":"101"},
{"priority":32764,"src":"all","fwmark":"0x1","fwmask":"0xff","table":"100"},
{"priority":32765,"src":"10.61.0.1","dst":"198.51.100.0","dstlen":24,"iif":"r0","action":"blackhole"},
{"priority":32766,"src":"all","table":"main"}]`;

test('rules, and whether addresses and interface decide for whom they are', () => {
  const rules = parseIprouteJson(listed, 'ip rule');
  if (rules.status !== 'ok') throw new Error(rules.reason);
  const parsed = rules.value.map(policyRule);
  expect(parsed.map(({ text, asksMore }) => [text, asksMore])).toEqual([
    ['0: from all lookup local', false],
    ['9: from all iif nosuch prohibit', false],
    ['49: from 10.9.9.9 oif r1 unreachable', true],
    ['50: from all goto 60', true],
    ['60: from all', false],
    ['32760: from all uid_start 0 uid_end 5 suppress_prefixlen 0 lookup 7', true],
    ['32761: from all tos 0x10 ipproto udp sport_start 5 sport_end 9 lookup 7', true],
    ['32763: not from 10.0.0.0/8 lookup 101', false],
    ['32764: from all fwmark 0x1 fwmask 0xff lookup 100', true],
    ['32765: from 10.61.0.1 to 198.51.100.0/24 iif r0 blackhole', false],
    ['32766: from all lookup main', false],
  ]);
  expect(parsed.at(-2)).toMatchObject({
    source: '10.61.0.1',
    destination: '198.51.100.0/24',
    interface: 'r0',
    inverted: false,
    refusal: 'blackhole',
  });
  expect(parsed[7]).toMatchObject({ source: '10.0.0.0/8', inverted: true, table: '101' });
});

test('what is not understood is not decided', () => {
  expect(policyRule({ action: 'masquerade' }).asksMore).toBe(true);
  expect(policyRule({ l3mdev: null }).asksMore).toBe(true);
});

test('garbage never throws', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (entry) => {
      expect(policyRule(entry).text).toMatch(/from/);
    }),
  );
});
