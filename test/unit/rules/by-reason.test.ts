import { expect, test } from 'vitest';
import ovs from '../../../rules/l2/ovs-drop.ts';
import wifi from '../../../rules/l2/wifi-drop.ts';
import alloc from '../../../rules/socket/alloc-failure.ts';
import other from '../../../rules/socket/other-family.ts';
import { attribute } from '../../../src/engine/attribute.ts';
import type { AnyRule } from '../../../src/model/rule.ts';
import { capture, causesOf, foreign, linkRise, window } from './evidence.ts';

type Drop = Parameters<typeof capture>[0][number];

const judge = (rule: AnyRule, drops: readonly Drop[], where = window) =>
  rule.judge({ drops: capture(drops), link: linkRise({ wlan0: { rxPackets: 1000n } }) }, where);

test.each<[string, AnyRule, Drop]>([
  ['no memory', alloc, { reason: 'NOMEM', packets: 9 }],
  ['memory of the reserve', alloc, { reason: 'PFMEMALLOC', packets: 9 }],
  ['memory of a program', alloc, { reason: 'SKB_UCOPY_FAULT', packets: 9 }],
  ['a flow that says drop', ovs, { reason: 'OVS_DROP_EXPLICIT', packets: 9 }],
  [
    'a reason without a name',
    ovs,
    { reason: 'subsystem 3 reason 2', location: 'ovs_dp_process_packet', packets: 9 },
  ],
  ['a CAN frame', other, { reason: 'CANFD_RX_INVALID_FRAME', packets: 9 }],
  ['PSP', other, { reason: 'PSP_INPUT', packets: 9 }],
])('%s: a cause that claims just those drops', (_, rule, drop) => {
  const strange: Drop = { reason: 'NOT_SPECIFIED', location: 'elsewhere', packets: 5 };
  const findings = judge(rule, [drop, strange]);
  expect(causesOf(findings)).toMatchObject([{ packets: 9 }]);
  const { unexplained } = attribute(
    findings.map((finding) => ({ rule, finding })),
    capture([drop, strange]),
    { several: false },
  );
  expect(unexplained).toMatchObject([{ location: 'elsewhere', packets: 5 }]);
});

test('where they may be of another namespace they are a hint', () => {
  const [cause] = causesOf(judge(alloc, [{ reason: 'NOMEM', packets: 900 }], foreign));
  expect(cause).toMatchObject({ confidence: 'possible', severityAtMost: 'notice' });
  expect(cause?.because[0]?.text).toContain('another network namespace');
});

test.each([alloc, ovs, other])('$id: nothing of its own, no finding', (rule) => {
  expect(judge(rule, [{ reason: 'QDISC_DROP', packets: 900 }])).toEqual([]);
});

const broken = (packets: number): Drop => ({ reason: 'RX_DROP_U_DECRYPT_FAIL', packets });

test('Wi-Fi may lose a tenth of its frames', () => {
  expect(causesOf(judge(wifi, [broken(100)]))).toEqual([]);
  expect(causesOf(judge(wifi, [broken(101)]))).toMatchObject([
    { packets: 101, severityAtMost: 'warning' },
  ]);
  // Of another namespace, perhaps.
  expect(causesOf(judge(wifi, [broken(900)], foreign))).toEqual([]);
});

test('Wi-Fi: frames that come twice are harmless, however many', () => {
  const findings = judge(wifi, [{ reason: 'RX_DROP_U_DUP', packets: 9000 }]);
  expect(findings).toMatchObject([{ kind: 'benign', claims: [{ reason: 'RX_DROP_U_DUP' }] }]);
});
