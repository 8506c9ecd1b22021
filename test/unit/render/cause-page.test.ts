import { expect, test } from 'vitest';

import { defineCheck } from '../../../src/model/check.ts';
import { ok } from '../../../src/model/reading.ts';
import { defineRule } from '../../../src/model/rule.ts';
import { renderCauseIndex, renderCausePage } from '../../../src/render/cause-page.ts';

const check = (id: string, title: string, sources: string[]) =>
  defineCheck({ id, title, sources, read: async () => ok(1) });

const rule = defineRule({
  id: 'softnet-backlog',
  title: 'A CPU input queue overflows',
  needs: { softnet: check('softnet', 'Input queues', ['/proc/net/softnet_stat']) },
  wants: { sysctl: check('sysctl', 'Settings', ['/proc/sys/net/core', 'sysctl -a']) },
  reviewed: '2026-11-21',
  explain: {
    see: 'Packets are late.\n',
    kernel: '`enqueue_to_backlog` drops.',
    confirm: '```sh\ncat /proc/net/softnet_stat\n```',
    fix: 'Raise it.',
    normal: '',
    references: ['net/core/dev.c'],
  },
  judge: () => [],
});

test('a page has what the rule says, in a fixed order, and no empty section', () => {
  expect(renderCausePage(rule)).toBe(`# A CPU input queue overflows

\`softnet-backlog\`, reviewed 2026-11-21

## What you see

Packets are late.

## What the kernel does

\`enqueue_to_backlog\` drops.

## Confirm it by hand

\`\`\`sh
cat /proc/net/softnet_stat
\`\`\`

## Fix

Raise it.

## What whydrop reads

- Input queues: \`/proc/net/softnet_stat\`
- Settings: \`/proc/sys/net/core\`, \`sysctl -a\` (if it can)

## References

- net/core/dev.c
`);
});

test('the index: by symptom, by what each cause looks like, by name in alphabetical order', () => {
  const index = renderCauseIndex(
    [rule, { ...rule, id: 'arp', title: 'ARP fails' }],
    [
      { name: 'Anything', causes: [] },
      { name: 'The host is slow', causes: ['softnet-backlog', 'arp'] },
    ],
  );
  expect(index.split('\n').filter((line) => line.startsWith('-'))).toEqual([
    '- The host is slow: [`softnet-backlog`](softnet-backlog.md), [`arp`](arp.md)',
    '- Packets are late. [`arp`](arp.md)',
    '- Packets are late. [`softnet-backlog`](softnet-backlog.md)',
    '- [`arp`](arp.md): ARP fails',
    '- [`softnet-backlog`](softnet-backlog.md): A CPU input queue overflows',
  ]);
});
