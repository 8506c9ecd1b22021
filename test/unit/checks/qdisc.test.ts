import { readFileSync } from 'node:fs';

import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import qdisc, { parseQdiscs, type Qdisc } from '../../../checks/qdisc.ts';
import { parseClasses } from '../../../checks/qdisc/classes.ts';
import { fakeHost, type FakeMachine } from './fake-host.ts';
import { garbledText } from './garbled-text.ts';

const command = 'tc -s -j qdisc show';
/** iproute2 6.1 on Linux 6.1, one device for each of ten kinds. */
const linux61 = readFileSync(new URL('fixtures/tc-qdisc-6.1.txt', import.meta.url), 'utf8');
/** iproute2 5.10, a two-queue device with a full fq_codel on its second queue. */
const multiQueue = `[{"kind":"mq","handle":"0:","dev":"eth0","root":true,"options":{},"bytes":18446744073709551615,"packets":9,"drops":7,"overlimits":0,"requeues":3,"backlog":3028,"qlen":2},{"kind":"fq_codel","handle":"0:","dev":"eth0","parent":":2","options":{"limit":10240},"bytes":1,"packets":9,"drops":7,"overlimits":0,"requeues":3,"backlog":3028,"qlen":2,"maxpacket":1514,"drop_overlimit":5,"ecn_mark":1},{"kind":"fq_codel","handle":"0:","dev":"eth0","parent":":1","options":{},"bytes":0,"packets":0,"drops":0,"overlimits":0,"requeues":0,"backlog":0,"qlen":0}]`;

function readFrom(commands: FakeMachine['commands'] = {}) {
  return qdisc.read(fakeHost({ commands }), { phase: 'first', interfaces: [] });
}

function qdiscsOf(text: string): readonly Qdisc[] {
  const reading = parseQdiscs(text);
  if (reading.status !== 'ok') throw new Error(reading.reason);
  return reading.value.qdiscs;
}

test('reads what a real tc prints, kind by kind', () => {
  const qdiscs = qdiscsOf(linux61);
  expect(qdiscs.map(({ kind }) => kind)).toEqual(
    expect.arrayContaining(['fq', 'fq_codel', 'cake', 'netem', 'sfq', 'red', 'pie', 'tbf', 'htb']),
  );
  const onEth0 = qdiscs.find(({ device }) => device === 'eth0');
  expect(onEth0).toMatchObject({
    kind: 'fq_codel',
    handle: '0:',
    bytes: 586n,
    packets: 7n,
    dropped: 0n,
    options: { limit: 10_240, memory_limit: 33_554_432 },
  });
  expect(onEth0).not.toHaveProperty('parent');
  expect(onEth0?.details.get('drop_overlimit')).toBe(0n);
  expect(onEth0?.details.has('bytes')).toBe(false);
});

test('tells the queues of one device apart', () => {
  const [root, second, first] = qdiscsOf(multiQueue);
  expect(root).toMatchObject({ kind: 'mq', bytes: 18_446_744_073_709_551_615n, dropped: 7n });
  expect(second).toMatchObject({
    parent: ':2',
    dropped: 7n,
    requeues: 3n,
    backlogBytes: 3028n,
    queueLength: 2n,
  });
  expect(second?.details.get('drop_overlimit')).toBe(5n);
  expect(first?.parent).toBe(':1');

  const names = [...(qdisc.counters?.({ qdiscs: qdiscsOf(multiQueue) }) ?? [])].map(
    ([name]) => name,
  );
  expect(new Set(names).size).toBe(names.length);
  expect(new Map(qdisc.counters?.({ qdiscs: qdiscsOf(multiQueue) })).get('eth0.root.dropped')).toBe(
    7n,
  );
  expect(names).toContain('eth0.:2.dropped');
});

test('no qdisc at all is no trouble', async () => {
  expect(await readFrom({ [command]: '[]\n' })).toEqual({ status: 'ok', value: { qdiscs: [] } });
});

test.each([
  ['tc is not installed', {}, 'absent'],
  ['tc is too old', { [command]: { exitCode: 255, stderr: 'Option "-j" is unknown' } }, 'absent'],
  [
    'an old tc prints broken JSON',
    { [command]: '[{"kind":"sfq","options":limit 127p}]' },
    'malformed',
  ],
  ['there are no statistics', { [command]: '[{"kind":"sfq","dev":"eth0"}]' }, 'malformed'],
])('%s', async (_, commands, status) => {
  expect((await readFrom(commands)).status).toBe(status);
});

test('never throws on garbage', () => {
  fc.assert(
    fc.property(garbledText(multiQueue), (text) => {
      const reading = parseQdiscs(text);
      expect(reading.status === 'ok' ? 'tc' : reading.reason).toMatch(/^tc/);
    }),
  );
});

/** iproute2 6.1 on Linux 6.18. */
const classes = `class htb 1:10 parent 1:1 prio 0 rate 100Kbit ceil 200Kbit burst 1600b cburst 1600b 
 Sent 4168000 bytes 4000 pkt (dropped 17, overlimits 3994 requeues 0) 
 backlog 0b 0p requeues 0
 lended: 2002 borrowed: 1998 giants: 0
 tokens: -875908 ctokens: -651081

class htb 1:1 root rate 10Mbit ceil 10Mbit burst 1600b cburst 1600b 
 Sent 4168000 bytes 4000 pkt (dropped 0, overlimits 6 requeues 0) 
 backlog 0b 0p requeues 0

class htb 1:20 parent 1:1 leaf 20: prio 0 rate 1Mbit ceil 1Mbit burst 1600b cburst 1600b 
 Sent 0 bytes 0 pkt (dropped 0, overlimits 0 requeues 0) 
`;

test('the classes of a divided line, at both readings; a device without any is not asked', async () => {
  const commands = {
    [command]:
      '[{"kind":"htb","handle":"1:","dev":"eth0","root":true,"options":{},"drops":17},{"kind":"pfifo","handle":"0:","dev":"eth1","root":true,"options":{},"drops":0}]',
    'tc -s class show dev eth0': classes,
    'tc -s class show dev eth1': classes,
  };
  const reading = await readFrom(commands);
  expect(reading).toMatchObject({ status: 'ok' });
  expect(reading.status === 'ok' && [...(reading.value.classes ?? [])]).toEqual([
    [
      'eth0',
      [
        { id: '1:10', kind: 'htb', settings: 'prio 0 rate 100Kbit ceil 200Kbit', dropped: 17n },
        { id: '1:1', kind: 'htb', settings: 'rate 10Mbit ceil 10Mbit', dropped: 0n },
        { id: '1:20', kind: 'htb', settings: 'prio 0 rate 1Mbit ceil 1Mbit', dropped: 0n },
      ],
    ],
  ]);
});

test('classes in garbled text: none that is not there', () => {
  fc.assert(
    fc.property(garbledText(classes), (text) => {
      for (const { dropped, id } of parseClasses(text)) {
        expect(text).toContain(String(dropped));
        expect(text).toContain(id);
      }
    }),
  );
});
