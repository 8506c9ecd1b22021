import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { fold, type UnrankedCause } from '../../../src/engine/fold.ts';
import { rules } from '../../../rules/index.ts';

function one(id: string, packets: number, more: Partial<UnrankedCause> = {}): UnrankedCause {
  return {
    id,
    title: `Title of ${id}`,
    severity: 'notice',
    confidence: 'certain',
    packets,
    scope: {},
    because: [],
    means: `means ${id}`,
    rulesOut: [],
    fixes: [],
    consequences: [],
    ...more,
  };
}

type Origins = Readonly<Record<string, readonly string[]>>;

function folded(causes: readonly UnrankedCause[], origins: Origins = {}) {
  return fold(causes, (id) => origins[id] ?? []).map(({ id, packets, consequences }) => ({
    id,
    packets,
    under: consequences.map((consequence) => consequence.id),
  }));
}

test('the costliest first', () => {
  expect(folded([one('a', 1), one('b', 3), one('c', 2)]).map(({ id }) => id)).toEqual([
    'b',
    'c',
    'a',
  ]);
});

test('a consequence goes under its root, which answers for its packets and its severity', () => {
  const [root, ...others] = fold(
    [one('cpu', 0), one('ring', 500, { severity: 'critical', confidence: 'likely' })],
    (id) => (id === 'ring' ? ['cpu'] : []),
  );
  expect(others).toEqual([]);
  expect(root).toMatchObject({
    id: 'cpu',
    packets: 500,
    severity: 'critical',
    confidence: 'certain',
    consequences: [{ id: 'ring', title: 'Title of ring', packets: 500, means: 'means ring' }],
  });
});

test('the same packets, seen by another counter, do not add up; alone they count', () => {
  const again = one('sndbuf', 40, { countedAgain: true });
  const causes = [one('qdisc', 50), again, one('discards', 7)];
  const origins = { sndbuf: ['qdisc'], discards: ['qdisc'] };
  expect(folded(causes, origins)).toEqual([
    { id: 'qdisc', packets: 57, under: ['sndbuf', 'discards'] },
  ]);
  expect(folded([again], origins)).toEqual([{ id: 'sndbuf', packets: 40, under: [] }]);
});

test('with its consequences, a root may outrank others', () => {
  const causes = [one('cpu', 0), one('other', 300), one('ring', 500)];
  expect(folded(causes, { ring: ['cpu'] }).map(({ id }) => id)).toEqual(['cpu', 'other']);
});

test('a consequence whose root was not found stands for itself', () => {
  expect(folded([one('ring', 5)], { ring: ['cpu'] })).toEqual([
    { id: 'ring', packets: 5, under: [] },
  ]);
});

test('what happened on another interface is no consequence; where that is not known, it may be', () => {
  const origins = { neighbour: ['link'] };
  const on = (name: string) => ({ scope: { interface: name } });
  const link = one('link', 5, on('eth0'));
  expect(folded([link, one('neighbour', 3, on('eth1'))], origins)).toEqual([
    { id: 'link', packets: 5, under: [] },
    { id: 'neighbour', packets: 3, under: [] },
  ]);
  for (const follower of [one('neighbour', 3, on('eth0')), one('neighbour', 3)]) {
    expect(folded([link, follower], origins)).toEqual([
      { id: 'link', packets: 8, under: ['neighbour'] },
    ]);
  }
  const other = one('link', 9, on('eth1'));
  expect(folded([other, link, one('neighbour', 3, on('eth0'))], origins)).toEqual([
    { id: 'link', packets: 9, under: [] },
    { id: 'link', packets: 8, under: ['neighbour'] },
  ]);
});

test('a chain ends where it would go to another interface', () => {
  const causes = [
    one('link', 5, { scope: { interface: 'eth0' } }),
    one('neighbour', 3, { scope: { interface: 'eth1' } }),
    one('icmp', 0),
  ];
  expect(folded(causes, { neighbour: ['link'], icmp: ['neighbour'] })).toEqual([
    { id: 'link', packets: 5, under: [] },
    { id: 'neighbour', packets: 3, under: ['icmp'] },
  ]);
});

test('chains end at their root, and nothing gets lost on the way', () => {
  const causes = [one('squeeze', 1), one('ring', 20), one('irq', 0)];
  expect(folded(causes, { squeeze: ['ring'], ring: ['irq'] })).toEqual([
    { id: 'irq', packets: 21, under: ['ring', 'squeeze'] },
  ]);
});

test('of several roots, the one that costs most', () => {
  const causes = [one('ring', 5), one('backlog', 50), one('squeeze', 0)];
  expect(folded(causes, { squeeze: ['ring', 'backlog'] })).toEqual([
    { id: 'backlog', packets: 50, under: ['squeeze'] },
    { id: 'ring', packets: 5, under: [] },
  ]);
});

test('rules in a circle fold nothing, and lose nothing', () => {
  const causes = [one('a', 3), one('b', 2), one('c', 1), one('self', 0)];
  const origins = { a: ['b'], b: ['a'], c: ['a'], self: ['self'] };
  expect(folded(causes, origins).map(({ id, under }) => [id, under])).toEqual([
    ['a', []],
    ['b', []],
    ['c', []],
    ['self', []],
  ]);
});

test('packets are conserved, whatever follows from what', () => {
  const id = fc.constantFrom('a', 'b', 'c', 'd', 'e');
  const causes = fc.array(fc.tuple(id, fc.nat(100)).map(([id, packets]) => one(id, packets)));
  const origins = fc.dictionary(id, fc.array(id, { maxLength: 3 }));
  fc.assert(
    fc.property(causes, origins, (causes, origins) => {
      const roots = folded(causes, origins);
      const sum = (all: readonly { packets: number }[]) =>
        all.reduce((sum, { packets }) => sum + packets, 0);
      expect(sum(roots)).toBe(sum(causes));
      expect(roots.length + roots.flatMap(({ under }) => under).length).toBe(causes.length);
    }),
  );
});

test('no rule of ours is its own consequence', () => {
  const origins = new Map(rules.map(({ id, consequenceOf }) => [id, consequenceOf]));
  const reachable = (id: string, passed: readonly string[]): readonly string[] =>
    passed.includes(id)
      ? []
      : (origins.get(id) ?? []).flatMap((origin) => [
          origin,
          ...reachable(origin, [...passed, id]),
        ]);
  for (const { id } of rules) expect(reachable(id, []), id).not.toContain(id);
});
