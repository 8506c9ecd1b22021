import { expect, test } from 'vitest';
import rule from '../../../rules/ip/xfrm-policy.ts';
import { severityOf } from '../../../src/engine/rank.ts';
import { causesOf, sampled, snmpRise, window, type Counters } from './evidence.ts';

function judge(rises: Counters) {
  const at = (add: boolean) => ({
    counters: new Map(
      Object.entries(rises).map(([name, rise]) => [name, BigInt(add ? rise + 7 : 7)]),
    ),
  });
  const snmp = snmpRise({ 'Ip.InReceives': 1000, 'Ip.OutRequests': 1000 });
  const xfrm = sampled(at(false), at(true));
  return causesOf(rule.judge({ xfrm, snmp, drops: undefined }, window));
}

test('what a policy refuses is a warning; a missing association is worse', () => {
  const [policy] = judge({ XfrmInTmplMismatch: 200 });
  expect(policy).toMatchObject({ confidence: 'certain', packets: 200 });
  expect(policy && severityOf(policy)).toBe('warning');
  const [state] = judge({ XfrmInNoStates: 200, XfrmInTmplMismatch: 5 });
  expect(state && severityOf(state)).toBe('critical');
  expect(state?.means).toMatch(/no security association/);
});

test('what is blocked on its way out makes no drop event', () => {
  expect(judge({ XfrmOutPolBlock: 100 })).toMatchObject([
    { packets: 100, claims: [], beforeEvents: true },
  ]);
  expect(judge({ XfrmInPolBlock: 100 })[0]?.beforeEvents).toBeUndefined();
});

test('rekeying, and requests to the key daemon, are no fault', () => {
  expect(judge({ XfrmOutNoStates: 25 })).toEqual([]);
  expect(judge({ XfrmAcquireError: 5000 })).toEqual([]);
  expect(judge({ XfrmInNoStates: 0 })).toEqual([]);
});
