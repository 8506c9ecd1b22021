import { counterKey, counterSource, counterTitle, type Counter } from '../catalogue/counter.ts';
import { counterOf } from '../catalogue/counters.ts';
import type { Judgement, KernelLocation } from '../catalogue/locations.ts';
import type { Reason } from '../catalogue/reason.ts';
import { reasons } from '../catalogue/reasons.ts';
import { etherTypeName } from '../model/ethertypes.ts';

/** The title of a cause that whydrop has a rule for. */
export type TitleOfCause = (id: string) => string | undefined;

/** What a drop reason means, as Markdown, for `whydrop explain`. Ends with a newline. */
export function renderReasonPage(reason: Reason, titleOf: TitleOfCause): string {
  const { name, aliases = [], title, meaning, causes, since, counters = [] } = reason;
  const also = aliases.length === 0 ? '' : ` (other kernels: ${codes(aliases)})`;
  const known = since === undefined ? 'in no release of Linux' : `first seen in Linux ${since}`;
  const events = 'skb:kfree_skb; `whydrop report` counts them and names the cause';
  return pageOf(
    title,
    `Drop reason \`${name}\`${also}, ${known}.`,
    `${meaning}${name === 'NOT_SPECIFIED' ? ' `whydrop explain FUNCTION` says what a function means.' : ''}`,
    ['Is it harmless?', harmlessText(reason)],
    causeSection(causes, titleOf),
    [
      'See it',
      list([
        ...counters.flatMap((key) => {
          const counter = counterOf(key);
          return counter === undefined ? [] : [`\`${counterSource(counter).command}\``];
        }),
        `the tracepoint ${events}`,
      ]),
    ],
  );
}

/** What counters mean that share one explanation (`UdpInErrors`, `Udp6InErrors`). As above. */
export function renderCounterPage(
  counters: readonly [Counter, ...Counter[]],
  titleOf: TitleOfCause,
): string {
  const [{ meaning, loss, causes }] = counters;
  const sources = new Set(counters.map((counter) => counterSource(counter).source));
  const keys = new Set(counters.map(counterKey));
  const together = reasons
    .filter((reason) => reason.counters?.some((key) => keys.has(key)))
    .map(({ name }) => name);
  return pageOf(
    counters.map(counterTitle).join(', '),
    `Counter in ${codes([...sources])}.`,
    meaning,
    ['Is a rise a loss?', lossTexts[loss]],
    causeSection(causes, titleOf),
    [
      'See it',
      list([
        ...new Set(counters.map((counter) => `\`${counterSource(counter).command}\``)),
        ...(together.length > 0 ? [`drop events with the reason ${codes(together)}`] : []),
      ]),
    ],
  );
}

/** What it means that a kernel function frees packets. As above. */
export function renderLocationPage(location: KernelLocation, titleOf: TitleOfCause): string {
  const { functions, protocols, title, meaning, judgement, causes, confirm, kernels, reference } =
    location;
  return pageOf(
    `${title.charAt(0).toUpperCase()}${title.slice(1)}`,
    `Kernel function ${codes(functions)}${protocols === undefined ? '' : `, packets of type ${protocols.map(etherTypeName).join(', ')}`}${kernels === undefined ? '' : ` (${kernels})`}.`,
    meaning,
    ['Is it harmless?', judgementTexts[judgement]],
    causeSection(causes, titleOf),
    ['See it', list(confirm.map(({ command, shows }) => `\`${command}\`: ${shows}`))],
    ['Reference', list([reference])],
  );
}

/** `Often: when the port is closed.` */
export function harmlessText(entry: Reason): string {
  if (entry.harmless === 'never') return 'No: look for the cause.';
  return entry.harmless === 'always' ? `Yes: ${entry.when}.` : `Often: when ${entry.when}.`;
}

const judgementTexts: Readonly<Record<Judgement, string>> = {
  harmless: 'Yes: nobody misses these packets.',
  'usually-harmless': 'Usually: it is normal on any host.',
  depends: 'It depends on which of the causes it is.',
  loss: 'No: somebody wanted these packets.',
};

const lossTexts: Readonly<Record<Counter['loss'], string>> = {
  yes: 'Yes: packets were dropped.',
  maybe: 'It depends: it may be a sign of loss, here or elsewhere, or of nothing.',
  no: 'No.',
};

type Section = readonly [title: string, text: string];

function causeSection(causes: readonly string[], titleOf: TitleOfCause): Section {
  const lines = causes.map((id) => `\`${id}\`: ${titleOf(id) ?? 'whydrop has no rule for it yet'}`);
  const more = causes.some((id) => titleOf(id) !== undefined)
    ? '\n\n`whydrop explain CAUSE` tells more, with the fix.'
    : '';
  return ['Causes', `${list(lines)}${more}`];
}

function pageOf(title: string, what: string, meaning: string, ...sections: Section[]): string {
  const body = sections
    .filter(([, text]) => text !== '')
    .map(([heading, text]) => `## ${heading}\n\n${text}\n`);
  return [`# ${title}\n`, `${what}\n`, `${meaning}\n`, ...body].join('\n');
}

function list(items: readonly string[]): string {
  return items.map((item) => `- ${item}`).join('\n');
}

function codes(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(', ');
}
