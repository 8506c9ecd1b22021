import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parsePairs, parseSnmp6 } from '../../../checks/snmp.ts';
import { counterKey, counterSource, counterTitle } from '../../../src/catalogue/counter.ts';
import { counters, findCounters } from '../../../src/catalogue/counters.ts';
import { causeIds } from './cause-ids.ts';

const protocols = /^(?:Ip|Icmp|Tcp|Udp|UdpLite|TcpExt|IpExt|Ip6|Icmp6|Udp6|UdpLite6)\./;
/** What a name says that counts a loss, an error, or the repair of one. */
const losses =
  /drop|discard|overflow|fail|err|noport|noroute|unknown|abort|prune|reject|lost|losses|timeout|retrans|zerowindow|csum|truncat|overlap|reneg|pressure|toobig|unreach|exc|rpfilter|reversepath|paws|reset|rsts|ratelimit|ignored|skipped|challenge|required|bad|notfound|unexpected|memory/i;

const names = (): ReadonlyMap<string, bigint> => {
  const read = new Map<string, bigint>();
  for (const path of ['/proc/net/snmp', '/proc/net/netstat']) {
    parsePairs(readFileSync(path, 'utf8'), path, read);
  }
  try {
    parseSnmp6(readFileSync('/proc/net/snmp6', 'utf8'), read);
  } catch {
    // IPv6 is off.
  }
  return read;
};

test('every counter of the running kernel whose name tells of loss is known', () => {
  const known = new Set(counters.map(counterKey));
  const wanted = [...names().keys()].filter((key) => protocols.test(key) && losses.test(key));
  expect(wanted.length).toBeGreaterThan(50);
  expect(wanted.filter((key) => !known.has(key))).toEqual([]);
});

test('a counter is found by what its file, nstat and netstat call it', () => {
  const found = (name: string): readonly string[] => findCounters(name).map(counterKey);
  for (const name of [
    'TcpExtListenOverflows',
    'TcpExt ListenOverflows',
    'TcpExt.ListenOverflows',
    'ListenOverflows',
    'listenoverflows',
    '/proc/net/netstat TcpExt ListenOverflows',
  ]) {
    expect(found(name), name).toEqual(['TcpExt.ListenOverflows']);
  }
  expect(found('RX-DRP')).toEqual(['dev.rx drop']);
  expect(found('XfrmInNoStates')).toEqual(['Xfrm.XfrmInNoStates']);
  expect(found('InErrors')).toContain('Udp.InErrors');
  expect(found('')).toEqual([]);
});

test('no key stands twice', () => {
  const keys = counters.map(counterKey);
  expect(keys.filter((key, index) => keys.indexOf(key) !== index)).toEqual([]);
});

test.each(counters.map((counter) => ({ key: counterKey(counter), ...counter })))(
  '$key',
  ({ meaning, causes, loss, key: _, ...rest }) => {
    expect(meaning).toMatch(/^\S[^\n]+\.$/);
    expect(causes.filter((id) => !causeIds.has(id))).toEqual([]);
    expect(loss === 'yes' && causes.length === 0).toBe(false);
    const counter = { meaning, causes, loss, ...rest };
    expect(counterTitle(counter)).toContain(rest.name);
    expect(counterSource(counter).command).toMatch(/^[a-z]/);
  },
);
