import { beforeAll, describe, expect, test } from 'vitest';
import { nstat } from './counters.ts';
import { asymmetricRoute, ELSEWHERE } from './faults/reverse-path.ts';
import { inside, makePair, restoreAfterCrash } from './network.ts';
import { labMissing } from './requirements.ts';
import { serve, steady } from './traffic.ts';
import { diagnoseDuring } from './whydrop.ts';

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
  test.concurrent.each(combinations)(
    'all = $all, vb = $own: drops $drops',
    async ({ all, own, drops }) => {
      const pair = await makePair();
      try {
        await asymmetricRoute(pair);
        await serve(pair, 'reads');
        await inside(pair.b, `sysctl -qw net.ipv4.conf.all.rp_filter=${all}`);
        await inside(pair.b, `sysctl -qw net.ipv4.conf.vb.rp_filter=${own}`);
        const { reports } = await diagnoseDuring([{ netns: pair.b, captures: ['bpf'] }], () =>
          steady(pair, { source: ELSEWHERE }),
        );
        const causes = reports.flatMap((report) => report.causes);
        // The kernel itself says whether this combination drops.
        expect((await nstat(pair.b, 'TcpExtIPReversePathFilter')) > 0).toBe(drops);
        expect(causes.map(({ id }) => id)).toEqual(drops ? ['ip-rpfilter'] : []);
        if (!drops) return;
        // Raising the interface to 2 relaxes the filter whatever `all` is; `all` = 0 would not.
        expect(causes[0]?.fixes[0]?.steps).toMatchObject([
          { kind: 'sysctl', key: 'net.ipv4.conf.vb.rp_filter', from: String(own), to: '2' },
        ]);
      } finally {
        await pair.cleanUp.run();
      }
    },
  );
});
