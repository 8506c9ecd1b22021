import type { Capability, CapabilityGroup, SelfCheck } from '../model/self-check.ts';
import { Page, type PageOptions, type Style } from './page.ts';
import { formatCountOf } from './wording.ts';

/** What whydrop can do on a host, for a person. Ends with a newline. */
export function renderSelfCheck(
  { tool, host, diagnosis, capabilities }: SelfCheck,
  options: PageOptions,
): string {
  const page = new Page(options);
  const missing = capabilities.filter(
    ({ group, status }) => group !== 'fix' && status === 'missing',
  );
  const [word, style, headline] = (
    {
      full: ['OK', 'ok', 'A full diagnosis is possible here'],
      partial: [
        'WARNING',
        'warning',
        `A diagnosis is possible here, but not a full one: ${formatCountOf(missing.length, 'thing')} missing`,
      ],
      none: ['UNKNOWN', 'unknown', 'No verdict is possible here: drops cannot be watched'],
    } as const
  )[diagnosis];
  page.paragraph([
    { text: `${word}: `, style },
    { text: headline, style: 'title' },
  ]);
  const about = [
    host.hostname,
    `Linux ${host.kernel}`,
    host.distribution,
    `whydrop ${tool.version}`,
  ];
  page.paragraph([{ text: about.filter((part) => part !== '').join(' · '), style: 'source' }], 2);

  for (const [group, title] of groups) {
    page.gap();
    page.paragraph([{ text: title, style: 'title' }]);
    for (const capability of capabilities) {
      if (capability.group === group) writeCapability(page, capability);
    }
  }
  return page.toString();
}

const groups: readonly (readonly [CapabilityGroup, string])[] = [
  ['system', 'System'],
  ['capture', 'Watch drops as they happen'],
  ['tools', 'Programs that whydrop asks'],
  ['fix', 'whydrop fix'],
];

const TEXT_INDENT = 14;

const words: Readonly<Record<Capability['status'], { text: string; style: Style }>> = {
  ok: { text: 'ok', style: 'ok' },
  missing: { text: 'missing', style: 'warning' },
  'not-needed': { text: 'not needed', style: 'source' },
};

function writeCapability(page: Page, { title, status, found, without, help }: Capability): void {
  const { text, style } = words[status];
  page.paragraph([{ text: `${title}: `, style: 'title' }, found], TEXT_INDENT, [
    '  ',
    { text, style },
  ]);
  if (without !== undefined) page.paragraph([`Without it: ${without}.`], TEXT_INDENT);
  if (help !== undefined) page.paragraph([`This helps: ${help}`], TEXT_INDENT);
}
