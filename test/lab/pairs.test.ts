import { describe, expect, test } from 'vitest';
import type { Report } from '../../src/model/report.ts';
import type { Fault } from './fault.ts';
import { faults } from './faults.ts';
import { makePair, type Pair } from './network.ts';
import { labMissing } from './requirements.ts';
import { diagnoseDuring, type Backend } from './whydrop.ts';

const missing = await labMissing();
/** Packets of the report against those of the independent counters. */
const TOLERANCE = 0.02;
const BACKENDS: readonly Backend[] = ['bpf', 'tracefs'];

const deadLink = 'the other end of the cable is down';
const shaper = 'a shaper that lets less through than is sent';
const firewall = 'nftables rule with a counter';
const reversePath = 'loose reverse-path filter, no route back';
const mpls = 'frames of a protocol nobody handles (MPLS)';
const smallBuffer = 'UDP: a program with a tiny SO_RCVBUF of its own';
const silentPeer = 'a peer that does not answer ARP';
const uncounted = 'nftables rule without a counter';
const ipChecksum = 'wrong checksum in the IP header';

/** Set up in this order, so that the service of the second one runs. Neither hides the other. */
const pairs: readonly (readonly [string, string])[] = [
  [deadLink, firewall],
  [deadLink, reversePath],
  [deadLink, smallBuffer],
  [deadLink, mpls],
  [shaper, firewall],
  [shaper, reversePath],
  [shaper, smallBuffer],
  [mpls, firewall],
  [mpls, reversePath],
  [mpls, smallBuffer],
  [reversePath, smallBuffer],
  [ipChecksum, smallBuffer],
  [deadLink, silentPeer],
  [uncounted, ipChecksum],
];

function faultNamed(name: string): Fault {
  const fault = faults.find((fault) => fault.name === name);
  if (fault === undefined) throw new Error(`no fault is named ${name}`);
  return fault;
}

describe.skipIf(missing !== null)(
  `two faults at once${missing === null ? '' : ` (${missing})`}`,
  () => {
    test.concurrent.each(pairs)('%s, and %s', async (...names) => {
      const both = names.map(faultNamed);
      const pair = await makePair();
      try {
        for (const fault of both) await fault.setUp?.(pair);
        await expectBoth(both, pair);
      } finally {
        await pair.cleanUp.run();
      }
    });
  },
);

/** Each with its own count, and the one that costs most first. */
async function expectBoth(both: readonly Fault[], pair: Pair): Promise<void> {
  const before = await Promise.all(both.map((fault) => fault.lost(pair)));
  const { reports } = await diagnoseDuring([{ netns: pair.b, captures: BACKENDS }], () =>
    Promise.all(both.map((fault) => fault.traffic(pair))),
  );
  const lost = await Promise.all(
    both.map(async (fault, index) => (await fault.lost(pair)) - (before[index] ?? 0)),
  );
  for (const report of reports) expectNamed(report, both, lost);
}

function expectNamed(report: Report, both: readonly Fault[], lost: readonly number[]): void {
  const { causes, capture } = report;
  expect(causes.map(({ id }) => id).sort(), JSON.stringify(report, null, 1)).toEqual(
    both.map(({ cause }) => cause).sort(),
  );
  for (const [index, { cause }] of both.entries()) {
    const packets = causes.find(({ id }) => id === cause)?.packets ?? 0;
    const expected = lost[index] ?? 0;
    expect(
      Math.abs(packets - expected) / expected,
      `${capture.backend}, ${cause}: ${packets} reported, ${expected} lost`,
    ).toBeLessThanOrEqual(TOLERANCE);
  }
  const packets = causes.map((cause) => cause.packets);
  expect(packets, 'the costlier first').toEqual(packets.toSorted((a, b) => b - a));
}
