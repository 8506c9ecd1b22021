import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import lookups, { parseAnswer, type Lookups } from '../../../checks/lookups.ts';
import type { DropCount, DropFlow } from '../../../src/model/drops.ts';
import { capture, detailsOf } from '../rules/evidence.ts';
import { fakeHost, type FakeHostOptions } from './fake-host.ts';

function flow(source: string, destination: string, packets = 1): DropFlow {
  return { source, destination, packets };
}

function refusedBy(
  location: string,
  flows: readonly DropFlow[],
  drop: Partial<DropCount> = {},
): Partial<DropCount> & { packets: number } {
  const packets = flows.reduce((sum, { packets }) => sum + packets, 0);
  return { location, packets, ...detailsOf({ topFlows: flows }), ...drop };
}

/** What was asked, and what came of it. */
async function ask(
  drops: readonly (Partial<DropCount> & { packets: number })[],
  commands: FakeHostOptions['commands'] = {},
): Promise<Lookups & { readonly asked: readonly string[] }> {
  const asked: string[] = [];
  const fake = fakeHost({ commands });
  const host = {
    ...fake,
    run: (argv: readonly [string, ...string[]]) => {
      asked.push(argv.join(' '));
      return fake.run(argv);
    },
  };
  const reading = await lookups.read(host, capture(drops));
  if (reading.status !== 'ok') throw new Error(reading.reason);
  return { ...reading.value, asked };
}

const error = (text: string) => ({ exitCode: 2, stderr: `RTNETLINK answers: ${text}\n` });

test('drops that have nothing to do with routes cost nothing', async () => {
  const flows = [flow('10.0.0.9', '198.51.100.1')];
  const others = ['tcp_v4_rcv', 'ip_rcv_core'].map((location) => refusedBy(location, flows));
  const broken = refusedBy('ip_rcv_core', flows, { reason: 'IP_INHDR' });
  expect((await ask([...others, broken])).asked).toEqual([]);
  // tracefs knows no flows.
  expect((await ask([{ location: 'ip_error', packets: 5 }])).asked).toEqual([]);
});

test('a refusal: the routes that may have said so, and the policy rules', async () => {
  const get = 'ip -j route get 198.51.100.1 from 10.0.0.9 iif eth0';
  const show = 'ip -j -4 route show table all type';
  const { answers, policy } = await ask(
    [refusedBy('ip_error', [flow('10.0.0.9', '198.51.100.1')])],
    {
      [get]: error('Invalid argument'),
      [`${show} blackhole match 198.51.100.1`]:
        '[{"type":"blackhole","dst":"198.51.100.0/24","table":"7","flags":[]}]',
      [`${show} throw match 198.51.100.1`]: '[{"type":"throw","dst":"198.51.0.0/16","flags":[]}]',
      'ip -j -4 rule show': '[{"priority":0,"src":"all","table":"local"}]',
    },
  );
  expect(answers).toEqual([
    {
      family: 4,
      source: '10.0.0.9',
      destination: '198.51.100.1',
      interface: 'eth0',
      command: 'ip route get 198.51.100.1 from 10.0.0.9 iif eth0',
      answer: { kind: 'error', error: 'EINVAL', text: 'Invalid argument' },
      refusing: [expect.objectContaining({ text: 'blackhole 198.51.100.0/24 table 7' })],
      passing: [{ destination: '198.51.0.0/16' }],
    },
  ]);
  expect(policy.get(4)?.map(({ text }) => text)).toEqual(['0: from all lookup local']);
});

test('the way back, as the reverse-path filter looks it up; of forwarded packets without their destination', async () => {
  const drop = refusedBy('ip_rcv_finish_core', [flow('192.0.2.7', '10.0.0.1')], {
    reason: 'IP_RPFILTER',
  });
  const get = 'ip -j route get 10.0.0.1 from 192.0.2.7 iif eth0';
  const back = 'ip -j route get 192.0.2.7 from 10.0.0.1';
  const eth1 = '[{"dst":"192.0.2.7","gateway":"10.1.0.1","dev":"eth1","flags":[],"cache":[]}]';
  const way = { kind: 'route', device: 'eth1', gateway: '10.1.0.1', local: false };
  for (const refused of ['Invalid cross-device link', 'Invalid argument']) {
    const { answers, asked } = await ask([drop], { [get]: error(refused), [back]: eth1 });
    expect(answers[0]?.wayBack).toEqual({
      command: 'ip route get 192.0.2.7 from 10.0.0.1',
      answer: way,
    });
    expect(asked).toEqual([get, back]);
  }
  const { answers } = await ask([drop], {
    [get]: error('Invalid argument'),
    [back]: error('Invalid argument'),
    'ip -j route get 192.0.2.7': error('Network is unreachable'),
  });
  expect(answers[0]?.wayBack).toMatchObject({
    command: 'ip route get 192.0.2.7',
    answer: { error: 'ENETUNREACH' },
  });
});

test('the busiest few: each kind of drop comes before the second flow of any', async () => {
  const many = Array.from({ length: 10 }, (_, index) =>
    flow('10.0.0.9', `198.51.100.${index}`, 100),
  );
  const { asked } = await ask([
    refusedBy('ip_error', many),
    refusedBy('ip_forward', [flow('10.0.0.9', '203.0.113.1')], { reason: 'IP_INHDR' }),
    // The same question.
    refusedBy('ip_error', many.slice(0, 1), { reason: 'IP_INNOROUTES' }),
  ]);
  expect(asked.map((command) => command.split(' ')[4])).toEqual([
    '198.51.100.0',
    '203.0.113.1',
    '198.51.100.1',
    '198.51.100.2',
    '198.51.100.3',
  ]);
});

test('nothing but an address becomes an argument', async () => {
  const flows = ['-h', 'default', '', 'aa:bb', '::1', '10.0.0.1/8'].map((text) =>
    flow('10.0.0.9', text),
  );
  expect((await ask([refusedBy('ip_error', flows)])).asked).toEqual([]);
  const ipv6 = { protocol: 0x86dd };
  const { asked } = await ask([refusedBy('dst_discard', [flow('fe80::1', '2001:db8::1')], ipv6)]);
  expect(asked).toEqual(['ip -j route get 2001:db8::1 from fe80::1 iif eth0']);
});

test.each([
  [
    '[{"dst":"8.8.8.8","gateway":"10.0.0.1","dev":"eth0"}]',
    { device: 'eth0', gateway: '10.0.0.1' },
  ],
  [
    '[{"dst":"8.8.8.8","via":{"family":"inet6","host":"fe80::1"},"dev":"eth0"}]',
    { device: 'eth0', gateway: 'fe80::1' },
  ],
  ['[{"type":"local","dst":"10.0.0.1","dev":"lo","table":"local"}]', { device: 'lo', local: true }],
])('a way: %s', (stdout, way) => {
  expect(parseAnswer({ stdout, stderr: '' })).toMatchObject({ kind: 'route', ...way });
});

test.each([
  ['RTNETLINK answers: Invalid argument', 'EINVAL'],
  ['RTNETLINK answers: No route to host', 'EHOSTUNREACH'],
  ['RTNETLINK answers: Permission denied', 'EACCES'],
  ['RTNETLINK answers: Network unreachable', 'ENETUNREACH'],
  ['RTNETLINK answers: Cross-device link', 'EXDEV'],
  ['Cannot find device "gone"', undefined],
  ['Error: any valid prefix is expected rather than "x".', undefined],
])('%s: %s', (stderr, expected) => {
  const answer = parseAnswer({ stdout: '', stderr });
  expect(answer?.kind === 'error' ? answer.error : undefined).toBe(expected);
});

test('garbage never throws', () => {
  const text = fc.oneof(
    fc.string(),
    fc.json(),
    fc.array(fc.object()).map((list) => JSON.stringify(list)),
  );
  fc.assert(
    fc.property(text, fc.string(), (stdout, stderr) => {
      expect(['route', 'error', undefined]).toContain(parseAnswer({ stdout, stderr })?.kind);
    }),
  );
});
