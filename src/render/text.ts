import type {
  Report,
  ReportCause,
  ReportDrops,
  ReportFix,
  ReportNamespace,
  ReportStep,
} from '../model/report.ts';
import type { Observation } from '../model/rule.ts';
import { quoteArgv } from '../model/shell-quote.ts';
import { type Content, Page, type PageOptions, type Span } from './page.ts';
import { writeVerdict } from './verdict-box.ts';
import { verdictText } from './verdict-text.ts';
import {
  describeDrops,
  describeScope,
  formatCount,
  formatCountOf,
  formatCountsIn,
  formatRate,
  formatRaw,
  formatSeconds,
  formatTime,
  listNamespaces,
  lostPackets,
  meaningOfDrops,
} from './wording.ts';

export interface TextOptions extends PageOptions {
  /** Adds what only somebody who doubts the verdict wants to see. */
  readonly verbose: boolean;
}

/**
 * The report for a person at a terminal, verdict first. Ends with a newline. No line is wider than
 * `options.width` (40 at least, 120 at most), but for commands, which are never broken so that they can be copied.
 */
export async function renderText(report: Report, options: TextOptions): Promise<string> {
  const page = new Page(options);
  await writeVerdict(page, verdictText(report), { style: report.verdict, plain: options.plain });
  page.paragraph([{ text: measured(report), style: 'source' }], 2);
  for (const [cause, also] of grouped(report, options.verbose)) {
    writeCause(page, cause, also, options.verbose);
  }
  writeNamespaces(page, report, options.verbose);
  writeHarmless(page, report);
  writeUnexplained(page, report, options.verbose);
  writeElsewhere(page, report, options.verbose);
  writeCouldNotLook(page, report, options.verbose);
  writeNotes(page, report);
  if (options.verbose) writeDetails(page, report);
  page.gap();
  page.paragraph(nextStep(report), 6, [{ text: 'Next:', style: 'title' }]);
  return page.toString();
}

/** Where, when and how it was measured. */
function measured({ host, window, scope, capture, namespaces }: Report): string {
  const ways = {
    bpf: 'drops seen by BPF',
    tracefs: 'drops seen by tracefs',
    none: 'counters only',
  };
  return [
    host.recorded ? `recording of ${host.hostname}` : host.hostname,
    `Linux ${host.kernel}`,
    ...(namespaces === undefined
      ? scope.netns.map((netns) => `namespace ${netns}`)
      : [formatCountOf(namespaces.length, 'network namespace')]),
    ...scope.interfaces.map((name) => `interface ${name}`),
    formatTime(window.startedAt),
    ...(window.seconds > 0
      ? [formatSeconds(window.seconds), ways[capture.backend]]
      : ['settings only']),
  ].join(' · ');
}

const LABEL_INDENT = 3;
export const TEXT_INDENT = 12;
/** What belongs to a numbered fix. */
const STEP_INDENT = TEXT_INDENT + 3;

/** Causes, each with the same one in other namespaces. */
type Grouped = readonly (readonly [ReportCause, readonly ReportCause[]])[];

/** The same cause in fifty namespaces is told once, for the one that it hurts most, and the others named. */
function grouped({ causes, namespaces }: Report, verbose: boolean): Grouped {
  const groups: [ReportCause, ReportCause[]][] = [];
  for (const cause of causes) {
    const same =
      namespaces === undefined || verbose
        ? undefined
        : groups.find(([{ id, scope }]) => id === cause.id && scope.netns !== cause.scope.netns);
    if (same === undefined) groups.push([cause, []]);
    else same[1].push(cause);
  }
  return groups;
}

function writeCause(
  page: Page,
  cause: ReportCause,
  also: readonly ReportCause[],
  verbose: boolean,
): void {
  const labelled = (label: string, content: Content): void =>
    page.paragraph(content, TEXT_INDENT, [labelOf(label)]);
  const items = (label: string, contents: readonly Content[]): void => {
    const [only] = contents;
    if (contents.length === 1 && only !== undefined) return labelled(label, only);
    for (const [index, content] of contents.entries()) {
      page.paragraph(content, TEXT_INDENT + 2, [labelOf(index === 0 ? label : ''), '- ']);
    }
  };

  page.gap();
  page.paragraph(
    [
      { text: cause.title, style: 'title' },
      { text: `[${cause.severity} · ${cause.confidence}]`, style: cause.severity, tag: true },
      { text: loss(cause), tag: true },
    ],
    LABEL_INDENT,
    [{ text: `${cause.rank}. `, style: 'title' }],
  );
  labelled('Where', [describeScope(cause.scope) || 'the whole host']);
  items('Because', cause.because.map(observed));
  labelled('Means', [cause.means]);
  if (cause.fixes.length === 0) labelled('Fix', ['No change on this host is known to cure it.']);
  for (const [index, fix] of cause.fixes.entries()) {
    writeFix(page, fix, {
      label: labelOf(index === 0 ? 'Fix' : ''),
      number: cause.fixes.length > 1 ? `${index + 1})` : '',
    });
  }
  if (also.length > 0) {
    const named = also.slice(0, MAX_LINES).map(alsoIn);
    const more = also.length - named.length;
    items('Also', more > 0 ? [...named, [`${formatCount(more)} more: -v shows all`]] : named);
  }
  if (cause.consequences.length > 0) labelled('Follows', [consequences(cause)]);
  if (verbose) {
    items(
      'Not',
      cause.rulesOut.map(({ id, because }) => [{ text: `${id}: `, style: 'title' }, because]),
    );
  }
  labelled('More', [{ text: quoteArgv(['whydrop', 'explain', cause.id]), style: 'command' }]);
}

export function labelOf(label: string): Span {
  return { text: (' '.repeat(LABEL_INDENT) + label).padEnd(TEXT_INDENT), style: 'label' };
}

function alsoIn(cause: ReportCause): Content {
  const { rank, scope, severity, confidence } = cause;
  return [
    `${rank}. ${describeScope(scope) || 'the host itself'}: ${loss(cause)} `,
    { text: `[${severity} · ${confidence}]`, style: severity, tag: true },
  ];
}

function loss({ packets, packetsPerSecond }: ReportCause): string {
  if (packets === 0) return 'no packet lost here';
  const rate = packetsPerSecond > 0 ? ` (${formatRate(packetsPerSecond)})` : '';
  return formatCountOf(packets, 'packet') + rate;
}

/** `text: 10 → 12,310 (source)` */
function observed({ text, first, last, source }: Observation): Content {
  const values = [first, last].filter((value) => value !== undefined).map(formatRaw);
  const shown = [...new Set(values)].join(' → ');
  const sentence = formatCountsIn(text);
  return [
    shown === '' ? sentence : `${sentence}: `,
    { text: shown, style: 'title' },
    { text: ` (${source})`, style: 'source' },
  ];
}

function consequences({ consequences }: ReportCause): string {
  const list = consequences.map(({ title, packets }) =>
    packets > 0 ? `${title} (${formatCountOf(packets, 'packet')})` : title,
  );
  return `${list.join('; ')}. ${list.length === 1 ? 'It needs' : 'They need'} no action of ${list.length === 1 ? 'its' : 'their'} own.`;
}

function writeFix(
  page: Page,
  fix: ReportFix,
  { label, number }: { label: Span; number: string },
): void {
  const title: Content = [
    { text: fix.title, style: 'title' },
    { text: `[${riskWords[fix.risk]}]`, style: riskStyles[fix.risk], tag: true },
  ];
  page.paragraph(title, number === '' ? TEXT_INDENT : STEP_INDENT, [
    label,
    { text: number, style: 'title' },
  ]);
  for (const step of fix.steps) writeStep(page, step);
  const later =
    fix.takesEffect === 'new-sockets' ? ' Counts for new sockets: restart the program.' : '';
  page.paragraph([`Cost: ${fix.cost}${later}`], STEP_INDENT);
}

const riskWords = {
  none: 'no risk',
  safe: 'safe',
  caution: 'caution',
  disruptive: 'interrupts traffic',
} as const;

const riskStyles = {
  none: 'ok',
  safe: 'ok',
  caution: 'warning',
  disruptive: 'critical',
} as const;

function writeStep(page: Page, step: ReportStep): void {
  const write = (text: string): void => page.paragraph([text], STEP_INDENT);
  switch (step.kind) {
    case 'sysctl':
      page.command(step.command, STEP_INDENT);
      write(
        `now ${formatRaw(step.from)} → ${formatRaw(step.to)}${step.hostWide ? ' · acts on the whole host' : ''}`,
      );
      break;
    case 'ethtool':
      page.command(step.command, STEP_INDENT);
      write(`${step.setting} now ${formatRaw(step.from)} → ${formatRaw(step.to)}`);
      break;
    case 'command':
      page.command(step.command, STEP_INDENT);
      write(step.why);
      break;
    case 'manual':
      write(step.text);
      break;
  }
}

/** Lists are cut here; `--verbose` and JSON have all. */
const MAX_LINES = 6;

/** Numbers stand right-aligned in these columns, texts after them. */
const COUNT_COLUMNS = 9;

export function section(page: Page, title: string): void {
  page.gap();
  page.paragraph([{ text: title, style: 'title' }]);
}

export function bullet(page: Page, content: Content): void {
  page.paragraph(content, 4, ['  - ']);
}

export function counted(page: Page, count: number, content: Content): void {
  const columns = COUNT_COLUMNS + 2;
  page.paragraph(content, columns, [formatCount(count).padStart(COUNT_COLUMNS)]);
}

export function listed<Item>(
  page: Page,
  items: readonly Item[],
  verbose: boolean,
  write: (item: Item) => void,
): void {
  const shown = verbose ? items : items.slice(0, MAX_LINES);
  for (const item of shown) write(item);
  const more = items.length - shown.length;
  if (more > 0) page.paragraph([{ text: `… and ${more} more: -v lists all`, style: 'source' }], 4);
}

/** Those with nothing to tell are counted, no more. */
function writeNamespaces(page: Page, { namespaces = [], window }: Report, verbose: boolean): void {
  if (namespaces.length === 0) return;
  const shown = namespaces.filter(
    ({ verdict, totals, unread }) =>
      verbose || verdict !== 'ok' || lostPackets(totals) > 0 || unread !== undefined,
  );
  const quiet = namespaces.length - shown.length;
  section(page, 'Network namespaces');
  listed(page, shown, verbose, (namespace) => writeNamespace(page, namespace));
  if (quiet > 0) {
    const which = shown.length > 0 ? `${formatCount(quiet)} more` : 'All';
    page.paragraph([`${which}: ${window.seconds > 0 ? 'nothing lost' : 'nothing found'}`], 4);
  }
}

function writeNamespace(
  page: Page,
  { name, netns, verdict, totals, unread }: ReportNamespace,
): void {
  const lost = lostPackets(totals);
  const harmless = totals.benign > 0 ? ` (and ${formatCount(totals.benign)} harmless)` : '';
  const also = netns === null || netns === name ? '' : ` · --netns ${quoteArgv([netns])}`;
  const told = unread ?? `${formatCountOf(lost, 'packet')} lost${harmless}${also}`;
  page.paragraph(
    [{ text: name ?? 'the host itself', style: 'title' }, `: ${told}`],
    COUNT_COLUMNS + 4,
    [{ text: `  ${verdict.padEnd(COUNT_COLUMNS)}`, style: verdict }],
  );
}

function writeHarmless(page: Page, { benign }: Report): void {
  if (benign.length === 0) return;
  section(page, 'Harmless drops');
  for (const { id, packets, text } of benign) {
    counted(page, packets, [text, { text: ` (${id})`, style: 'source' }]);
  }
}

function writeDrops(page: Page, drops: readonly ReportDrops[], verbose: boolean): void {
  listed(page, drops, verbose, (drop) => counted(page, drop.packets, [describeDrops(drop)]));
}

function writeUnexplained(page: Page, { unexplained }: Report, verbose: boolean): void {
  if (unexplained.length === 0) return;
  section(page, 'Unexplained drops: no rule claims these');
  listed(page, unexplained, verbose, (drop) => {
    const meaning = meaningOfDrops(drop);
    const text: Content = meaning === undefined ? [] : [': ', { text: meaning, style: 'source' }];
    counted(page, drop.packets, [describeDrops(drop), ...text]);
  });
}

function writeElsewhere(page: Page, { elsewhere }: Report, verbose: boolean): void {
  if (elsewhere.packets === 0) return;
  section(page, `Elsewhere on this host: ${formatCountOf(elsewhere.packets, 'drop')}`);
  page.paragraph([formatCountsIn(elsewhere.text)], 2);
  writeDrops(page, elsewhere.drops, verbose);
}

function writeCouldNotLook(page: Page, report: Report, verbose: boolean): void {
  const { notJudged, checks, capture, host } = report;
  const moot = checks
    .filter(({ status }) => status === 'not-applicable')
    .map(({ id }) => `${id}: `);
  const rulesByMissing = new Map<string, string[]>();
  for (const { rule, missing, namespaces } of notJudged) {
    for (const source of missing) {
      if (!verbose && moot.some((prefix) => source.startsWith(prefix))) continue;
      const where = namespaces === undefined ? source : `${listNamespaces(namespaces)}: ${source}`;
      rulesByMissing.set(where, [...(rulesByMissing.get(where) ?? []), rule]);
    }
  }
  // With another capture it is a note. That of the check for drops is listed with what it could not judge.
  const backends = capture.unavailable.filter(
    ({ reason }) => capture.backend === 'none' && !rulesByMissing.has(`drops: ${reason}`),
  );
  if (rulesByMissing.size === 0 && backends.length === 0) return;

  section(page, 'Could not look');
  for (const unavailable of backends) bullet(page, [whyNot(unavailable)]);
  const groups = [...rulesByMissing].sort((a, b) => b[1].length - a[1].length);
  listed(page, groups, verbose, ([source, rules]) => {
    const causes = `${formatCountOf(rules.length, 'cause')} not judged`;
    const names = verbose || rules.length <= 2 ? `: ${rules.join(', ')}` : '';
    bullet(page, [source, { text: ` (${causes}${names})`, style: 'source' }]);
  });
  if (!host.root && checks.some(({ status }) => status === 'denied')) {
    bullet(page, ['Run it as root to see what was denied.']);
  }
}

function whyNot({ backend, reason }: Report['capture']['unavailable'][number]): string {
  return `${backend} capture: ${reason}`;
}

function writeNotes(page: Page, report: Report): void {
  const { notes, capture, checks, suppressed, crashed } = report;
  const lines = [
    ...notes,
    ...(capture.backend === 'none' ? [] : capture.unavailable.map(whyNot)),
    ...checks.flatMap(({ id, notes = [], namespaces }) =>
      notes.map(
        (note) =>
          `${namespaces === undefined ? '' : `${listNamespaces(namespaces)}: `}${id}: ${note}`,
      ),
    ),
    ...suppressed.map(({ id, reason }) => `Suppressed: ${id} (${reason})`),
    ...crashed.map(({ id, error }) => `whydrop's own fault, please report it: ${id}: ${error}`),
  ];
  if (lines.length === 0) return;
  section(page, 'Notes');
  for (const line of lines) bullet(page, [line]);
}

function writeDetails(page: Page, { reconciliation, uncounted, checks }: Report): void {
  if (reconciliation.length > 0) {
    section(page, 'Counters against drop events');
    const row = (...cells: readonly string[]): string =>
      cells.map((cell) => cell.padStart(COUNT_COLUMNS)).join('');
    const write = (lead: string | Span, counter: string): void =>
      page.paragraph([counter], COUNT_COLUMNS * 4 + 2, [lead]);
    write({ text: row('rise', 'events', 'before', 'unseen'), style: 'label' }, 'counter');
    for (const { netns, counter, rise, byEvents, beforeEvents } of reconciliation) {
      const unseen = rise - byEvents - beforeEvents;
      const numbers = [rise, byEvents, beforeEvents, unseen].map(formatCount);
      write(row(...numbers), netns === undefined ? counter : `${counter} (namespace ${netns})`);
    }
    page.paragraph(
      [
        {
          text: 'events: seen as drop events; before: lost before, or without, an event; unseen: neither',
          style: 'source',
        },
      ],
      2,
    );
  }
  if (uncounted.length > 0) {
    section(page, 'Drop events that no counter of loss shows');
    for (const drop of uncounted) counted(page, drop.packets, [describeDrops(drop)]);
  }
  if (checks.length > 0) {
    section(page, 'Checks');
    for (const { id, status, reason, tookMs, namespaces } of checks) {
      const took = `${tookMs.toFixed(1)} ms`.padStart(COUNT_COLUMNS + 2);
      const what = status === 'ok' ? 'ok' : `${status}${reason === undefined ? '' : `: ${reason}`}`;
      const where = namespaces === undefined ? '' : ` (${listNamespaces(namespaces)})`;
      page.paragraph([{ text: id, style: 'title' }, ` ${what}${where}`], COUNT_COLUMNS + 4, [took]);
    }
  }
}

/** What to do now, in one sentence. */
function nextStep(report: Report): Content {
  const { causes, host, window, verdict, checks, totals, elsewhere, namespaces } = report;
  const fixable = causes.find(({ fixes }) => fixes.some(isApplicable));
  const targetIn = (netns: string | null | undefined): string[] => [
    ...(typeof netns === 'string' ? ['--netns', netns] : []),
    ...report.scope.interfaces.flatMap((name) => ['--iface', name]),
  ];
  const target = targetIn(report.scope.netns[0]);
  // Of all namespaces, only reports are made; the rest goes on in one of them.
  const targetOf = (isIt: (namespace: ReportNamespace) => boolean): string[] =>
    namespaces === undefined ? target : targetIn(namespaces.find(isIt)?.netns);
  const whydrop = (...argv: string[]): Span => ({
    text: quoteArgv(['whydrop', ...argv]),
    style: 'command',
  });

  if (fixable !== undefined) {
    const { netns = null } = fixable.scope;
    const fix = whydrop('fix', ...targetOf(({ name }) => name === netns));
    return host.recorded
      ? [fix, ` on ${host.hostname} itself: a recording is no reason to write.`]
      : [fix, ' shows each change, asks, applies it and measures again.'];
  }
  if (verdict === 'unknown') {
    return !host.root && checks.some(({ core, status }) => core === true && status === 'denied')
      ? ['run it as root: ', { text: 'sudo ', style: 'command' }, whydrop('report', ...target)]
      : [
          whydrop('report', '--verbose', ...target),
          ' lists every source, and why it was not read.',
        ];
  }
  if (window.seconds === 0) {
    return ['measure the loss: ', whydrop('report', '--duration', '10s', ...target)];
  }
  if (totals.unexplained > totals.explained && verdict !== 'ok') {
    const most = Math.max(...(namespaces ?? []).map((entry) => entry.totals.unexplained));
    const place = targetOf((entry) => entry.totals.unexplained === most);
    return [
      whydrop('record', '-o', 'drops.whydrop', ...place),
      ' keeps the evidence, to study it or to ask somebody.',
    ];
  }
  const [first] = causes;
  if (verdict !== 'ok' && causes.some(({ fixes }) => fixes.length > 0)) {
    return ['do the above by hand, then run ', whydrop('report', ...target), ' again.'];
  }
  if (first !== undefined) return [whydrop('explain', first.id), ' tells more about the cause.'];
  if (elsewhere.packets > 0 && namespaces === undefined) {
    return ['look into the other namespaces: ', whydrop('report', '--netns', 'all')];
  }
  return lostPackets(totals) > 0
    ? ['watch longer: ', whydrop('report', '--duration', '60s', ...target)]
    : [
        'nothing to do. If loss comes and goes, watch longer: ',
        whydrop('report', '--duration', '60s', ...target),
      ];
}

/** Whether `whydrop fix` can apply it; firewall rules and advice are for people. */
function isApplicable({ steps }: ReportFix): boolean {
  return steps.some(({ kind }) => kind === 'sysctl' || kind === 'ethtool');
}
