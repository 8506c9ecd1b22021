import { expect, onTestFinished, test } from 'vitest';
import { inside, macOf, makePair } from './network.ts';
import { labMissing } from './requirements.ts';
import { sendFrames } from './traffic.ts';
import { diagnoseDuring } from './whydrop.ts';

const missing = await labMissing();

test.skipIf(missing !== null)(
  'a loop that only the log of the kernel tells: frames of a bridge come back to it',
  async () => {
    const { a, b, cleanUp } = await makePair();
    onTestFinished(() => cleanUp.run());
    await inside(b, 'ip link add br0 type bridge forward_delay 0');
    await inside(b, 'ip link set vb master br0');
    await inside(b, 'ip link set br0 up');
    const own = (await macOf(b, 'vb')).replaceAll(':', '');
    const experiment = '88b5';
    const { reports } = await diagnoseDuring([{ netns: b, captures: ['bpf'] }], () =>
      sendFrames(a, 'va', 3, `${'f'.repeat(12)}${own}${experiment}${'00'.repeat(46)}`),
    );
    const loop = reports[0]?.causes.find(({ id }) => id === 'bridge-loop-or-bad-mac');
    expect(loop, JSON.stringify(reports)).toMatchObject({
      severity: 'notice',
      packets: 0,
      scope: { interface: 'vb' },
      because: [
        {
          source: 'kernel log',
          text: expect.stringMatching(
            /br0: received packet on vb with own address as source address/,
          ) as string,
        },
      ],
    });
  },
);
