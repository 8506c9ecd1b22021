import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import check, { parsePrograms, unitOf } from '../../../checks/programs.ts';
import { fakeHost } from './fake-host.ts';

test('reads what whydrop found', () => {
  const text = JSON.stringify({
    programs: [
      {
        id: 7,
        type: 'xdp',
        name: 'deny',
        loadedAt: '2026-11-22T09:00:00.000Z',
        pins: ['/sys/fs/bpf/deny', 5],
        holders: [
          { pid: 812, name: 'agent', cgroup: '/system.slice/agent.service/worker' },
          { pid: 813, name: 'bare', cgroup: '' },
          { name: 'no number' },
        ],
      },
      { name: 'no number' },
    ],
    attached: [
      { cgroup: '/a', direction: 'egress', programs: [7, 'x'] },
      { cgroup: '/a', direction: 'sideways', programs: [7] },
    ],
    complete: { cgroups: true, holders: false },
  });
  expect(parsePrograms(text)).toEqual({
    status: 'ok',
    value: {
      programs: new Map([
        [
          7,
          {
            id: 7,
            name: 'deny',
            loadedAt: '2026-11-22T09:00:00.000Z',
            pins: ['/sys/fs/bpf/deny'],
            holders: [
              { pid: 812, name: 'agent', unit: 'agent.service' },
              { pid: 813, name: 'bare' },
            ],
          },
        ],
      ]),
      attached: [{ cgroup: '/a', direction: 'egress', programs: [7] }],
      allAttached: true,
      allHolders: false,
    },
  });
});

test('garbage is told as such, and never throws', () => {
  for (const text of ['', '{', '[]', '{"programs":[]}', 'null']) {
    expect(parsePrograms(text).status).toBe('malformed');
  }
  const shaped = fc.record({
    programs: fc.array(fc.jsonValue()),
    attached: fc.array(fc.jsonValue()),
    complete: fc.jsonValue(),
  });
  const texts = fc.oneof(
    fc.string(),
    fc.json(),
    shaped.map((value) => JSON.stringify(value)),
  );
  fc.assert(fc.property(texts, (text) => ['ok', 'malformed'].includes(parsePrograms(text).status)));
});

test('the unit is the last part of a control group that is named like one', () => {
  expect(unitOf('/user.slice/user-0.slice/user@0.service/app.slice/web.service/worker')).toBe(
    'web.service',
  );
  expect(unitOf('/machine.slice/libpod-4711.scope')).toBe('libpod-4711.scope');
  expect([unitOf('/'), unitOf('/kubepods/pod1'), unitOf('/.service')]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});

test('only the last reading looks', async () => {
  const nothing = JSON.stringify({ programs: [], attached: [], complete: { cgroups: true } });
  const host = fakeHost({ commands: { 'whydrop-bpf-programs': nothing } });
  const looked = async (phase: 'first' | 'last', from = host) => {
    const reading = await check.read(from, { phase, interfaces: [] });
    return reading.status === 'ok' ? reading.value.allAttached : reading.status;
  };
  expect([await looked('first'), await looked('last')]).toEqual([false, true]);
  const blind = fakeHost({});
  expect([await looked('first', blind), await looked('last', blind)]).toEqual([false, 'absent']);
});
