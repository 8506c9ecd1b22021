import { beforeAll, describe, expect, test } from 'vitest';
import { asymmetricRoute, ELSEWHERE, steady } from './faults.ts';
import { nstat } from './counters.ts';
import { inside, makePair, restoreAfterCrash } from './network.ts';
import { labMissing } from './requirements.ts';
import { receiveUdp } from './traffic.ts';
import { reportDuring } from './whydrop.ts';

const missing = await labMissing();

/** The kernel uses the higher of `all` and the interface's own: 1 refuses what came by another way, 2 does not. */
const combinations = [
  { all: 0, own: 0, drops: false },
  { all: 0, own: 1, drops: true },
  { all: 1, own: 0, drops: true },
  { all: 1, own: 1, drops: true },
  { all: 1, own: 2, drops: false },
  { all: 2, own: 1, drops: false },
] as const;

beforeAll(restoreAfterCrash);

describe.skipIf(missing !== null)('the reverse-path filter, all × interface', () => {
  test.each(combinations)('all = $all, vb = $own: drops $drops', async ({ all, own, drops }) => {
    const pair = await makePair();
    try {
      await asymmetricRoute(pair);
      const receiver = await receiveUdp(pair.b, 5000, 'reads');
      pair.cleanUp.add(() => receiver.stop());
      await inside(pair.b, `sysctl -qw net.ipv4.conf.all.rp_filter=${all}`);
      await inside(pair.b, `sysctl -qw net.ipv4.conf.vb.rp_filter=${own}`);
      const { report } = await reportDuring(['--netns', pair.b, '--duration', '3s'], () =>
        steady(pair, { source: ELSEWHERE }),
      );
      // The kernel itself says whether this combination drops.
      expect((await nstat(pair.b, 'TcpExtIPReversePathFilter')) > 0).toBe(drops);
      expect(report.causes.map(({ id }) => id)).toEqual(drops ? ['ip-rpfilter'] : []);
      if (!drops) return;
      // Raising the interface to 2 relaxes the filter whatever `all` is; `all` = 0 would not.
      expect(report.causes[0]?.fixes[0]?.steps).toMatchObject([
        { kind: 'sysctl', key: 'net.ipv4.conf.vb.rp_filter', from: String(own), to: '2' },
      ]);
    } finally {
      await pair.cleanUp.run();
    }
  });
});
