import { expect, test } from 'vitest';
import { planChecks } from '../../../src/engine/plan.ts';
import { ok } from '../../../src/model/reading.ts';
import { needing, reading, ruleOf } from './scripted.ts';

test('reads what a rule needs or wants, and the core; each once, nothing else', () => {
  const [needed, wanted, core, idle] = [
    reading('needed', ok(1)),
    reading('wanted', ok(1)),
    reading('core', ok(1), { core: true }),
    reading('idle', ok(1)),
  ];
  const rules = [
    ruleOf('a', [], { needs: needing(needed), wants: needing(wanted) }),
    ruleOf('b', [], { needs: needing(wanted, needed) }),
  ];
  expect(planChecks(rules, [idle, core, wanted, needed])).toEqual([core, wanted, needed]);
});
