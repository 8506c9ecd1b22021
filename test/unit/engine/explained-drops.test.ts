import { expect, test } from 'vitest';
import { attribute } from '../../../src/engine/attribute.ts';
import { explainDrops } from '../../../src/engine/explained-drops.ts';
import { benign, captureOf, cause, ruleOf } from './scripted.ts';

test('each kind of drop knows the rules that account for it, and of how many packets', () => {
  const capture = captureOf([
    { reason: 'A', packets: 20 },
    { reason: 'B', packets: 5 },
    { reason: 'C', packets: 1 },
  ]);
  const firewall = ruleOf('firewall', []);
  const judged = [
    { rule: ruleOf('harmless', []), finding: benign({ claims: [{ reason: ['A', 'B'] }] }) },
    { rule: firewall, finding: cause({ claims: [{ reason: 'A', packets: 4 }] }) },
    { rule: firewall, finding: cause({ claims: [{ reason: 'A', packets: 9 }] }) },
    { rule: ruleOf('idle', []), finding: cause({ claims: [{ reason: 'D' }] }) },
  ];
  const explained = explainDrops(
    capture.drops,
    judged,
    attribute(judged, capture, { several: false }),
  );
  expect(explained.map(({ drop, claims }) => [drop.reason, claims])).toEqual([
    [
      'A',
      [
        { kind: 'cause', id: 'firewall', title: 'Title of firewall', packets: 13 },
        { kind: 'benign', id: 'harmless', title: 'Title of harmless', packets: 7 },
      ],
    ],
    ['B', [{ kind: 'benign', id: 'harmless', title: 'Title of harmless', packets: 5 }]],
    ['C', []],
  ]);
});
