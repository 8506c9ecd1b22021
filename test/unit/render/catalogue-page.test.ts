import { expect, test } from 'vitest';
import { findCounters } from '../../../src/catalogue/counters.ts';
import { findReason } from '../../../src/catalogue/reasons.ts';
import { renderCounterPage, renderReasonPage } from '../../../src/render/catalogue-page.ts';
import { renderReasonTable } from '../../../src/render/catalogue-tables.ts';

const titleOf = (id: string): string | undefined =>
  id === 'ip-header-errors' ? 'Broken headers' : undefined;

const reason = findReason('IP_CSUM');
if (reason === undefined) throw new Error('IP_CSUM is in the catalogue');

test('a reason: what it means, whether it is harmless, its causes, how to see it', () => {
  const page = renderReasonPage({ ...reason, causes: ['ip-header-errors', 'other'] }, titleOf);
  expect(page).toContain(`# ${reason.title}\n\nDrop reason \`IP_CSUM\`, first seen in Linux 5.18.`);
  expect(page).toContain('## Is it harmless?\n\nOften: when ');
  expect(page).toContain(
    '- `ip-header-errors`: Broken headers\n- `other`: whydrop has no rule for it yet\n',
  );
  expect(page).toContain('- `nstat -az IpExtInCsumErrors`\n- `nstat -az IpInHdrErrors`\n');
  expect(page).toMatch(/[^\n]\n$/);
});

test('a counter: where it is, whether a rise is a loss, the drop events that come with it', () => {
  const [counter] = findCounters('IpExtInCsumErrors');
  if (counter === undefined) throw new Error('IpExtInCsumErrors is in the catalogue');
  const page = renderCounterPage([counter], titleOf);
  expect(page).toContain('# IpExtInCsumErrors\n\nCounter in `/proc/net/netstat`.');
  expect(page).toContain('## Is a rise a loss?\n\nYes');
  expect(page).toContain('- drop events with the reason `IP_CSUM`\n');
});

test('a table has a row for each reason; only causes with a page are links', () => {
  const table = renderReasonTable(
    [{ ...reason, meaning: 'a|b.', causes: ['ip-header-errors', 'other'] }],
    titleOf,
  );
  expect(table).toContain('[`ip-header-errors`](causes/ip-header-errors.md), `other`');
  const rows = table.split('\n').filter((line) => line.startsWith('|'));
  expect(rows).toHaveLength(3);
  expect(rows[2]).toContain(String.raw`a\|b.`);
});
