import { defineFollowUp } from '../src/model/check.ts';
import { EtherType, type DropCapture, type DropCount } from '../src/model/drops.ts';
import type { Host } from '../src/model/host.ts';
import { ok } from '../src/model/reading.ts';
import {
  ipCommandTimeoutMs,
  listByIp,
  objectOf,
  parseIprouteJson,
  textOf,
  type JsonObject,
  type Refusal,
} from './iproute-json.ts';
import { readPolicyRules, type PolicyRule } from './policy-rules.ts';
import { refusingRoute, type RefusingRoute } from './routes.ts';

/** Enough to name a cause; each costs a few programs. */
const FLOWS_ASKED = 5;

const reversePath = {
  reasons: ['IP_RPFILTER'],
  /** Where kernels without reasons do it. */
  unnamed: ['ip_rcv_finish_core', 'ip_rcv_finish', 'ip_route_input_slow'],
};
const forwarding = ['ip_forward', 'ip6_forward'];
/** Where packets die for what a look-up of their route said; the reasons have one meaning, or a place. */
const places = {
  reasons: ['IP_INNOROUTES', 'IP_OUTNOROUTES', 'BLACKHOLE'],
  unnamed: [
    'ip_error',
    'dst_discard',
    'dst_discard_out',
    'ip6_pkt_discard',
    'ip6_pkt_drop',
    '__ip_queue_xmit',
    'ip_queue_xmit',
    ...forwarding,
  ],
};

/** What the kernel says of the routes of packets that died for them. */
export interface Lookups {
  /** Of the busiest flows. A question that could not be asked is not among them. */
  readonly answers: readonly Lookup[];
  /** Policy rules in order, of the versions of IP that had a look-up without a way. */
  readonly policy: ReadonlyMap<4 | 6, readonly PolicyRule[]>;
}

/** Where packets of a flow go that come in as those did that died. Asked after they died: it may have changed. */
export interface Lookup {
  readonly family: 4 | 6;
  readonly source: string;
  readonly destination: string;
  /** By which they came in. Null: packets of this host. */
  readonly interface: string | null;
  /** As an administrator types it: `ip route get 198.51.100.1 from 10.0.0.9 iif eth0`. */
  readonly command: string;
  readonly answer: Answer;
  /** Where packets to their source go: for those that the reverse-path filter refuses. */
  readonly wayBack?: { readonly command: string; readonly answer: Answer };
  /**
   * Where the answer is that there is no way: refusing routes of that type, in any table, that the destination
   * is in. Absent: could not be listed.
   */
  readonly refusing?: readonly RefusingRoute[];
  /** Routes that send such a look-up on to the next policy rule. */
  readonly passing?: readonly Place[];
}

/** Of a route. */
export type Place = Pick<RefusingRoute, 'destination' | 'table'>;

export type Answer =
  | {
      readonly kind: 'route';
      readonly device: string;
      readonly gateway?: string;
      /** To an address of this host. */
      readonly local: boolean;
    }
  | { readonly kind: 'error'; readonly error: LookupError; readonly text: string };

export type LookupError = 'EINVAL' | 'EHOSTUNREACH' | 'EACCES' | 'ENETUNREACH' | 'EXDEV';

/**
 * How glibc and musl call them. A route that refuses is told by its error alone: the kernel fills in no answer,
 * with `fibmatch` neither (inet_rtm_getroute, 6.18).
 */
const errorTexts: readonly (readonly [LookupError, RegExp])[] = [
  ['EINVAL', /Invalid argument/],
  ['EHOSTUNREACH', /No route to host|Host is unreachable/],
  ['EACCES', /Permission denied/],
  ['ENETUNREACH', /Network is unreachable|Network unreachable/],
  ['EXDEV', /Invalid cross-device link|Cross-device link/],
];

/** Type of a route → its error (fib_props in net/ipv4/fib_semantics.c; IPv6 has the same). */
const refusalOf: Readonly<Partial<Record<LookupError, Refusal>>> = {
  EINVAL: 'blackhole',
  EHOSTUNREACH: 'unreachable',
  EACCES: 'prohibit',
};

export default defineFollowUp<Lookups>({
  id: 'lookups',
  title: 'Routes of the packets that died for them',
  sources: [
    'ip -j route get DESTINATION from SOURCE iif INTERFACE',
    'ip -j route get SOURCE from DESTINATION',
    'ip -j route show table all type blackhole match DESTINATION',
    'ip -j rule show',
  ],
  async read(host, capture) {
    const asked = await Promise.all(questionsOf(capture).map((question) => ask(host, question)));
    const answers = asked.filter((lookup) => lookup !== undefined);
    const refused = answers.filter(
      ({ answer, wayBack }) => answer.kind === 'error' && wayBack === undefined,
    );
    const policy = new Map<4 | 6, readonly PolicyRule[]>();
    const notes: string[] = [];
    for (const family of new Set(refused.map(({ family }) => family))) {
      const rules = await readPolicyRules(host, family);
      if (rules.status === 'ok') policy.set(family, rules.value);
      else notes.push(`Policy rules: ${rules.reason}`);
    }
    return ok({ answers, policy }, notes);
  },
});

interface Question extends Pick<Lookup, 'family' | 'source' | 'destination' | 'interface'> {
  /** The reverse-path filter refused them. */
  readonly isReversePath: boolean;
}

/** Of each kind of drop the busiest flow, then the second of each, and so on. */
function questionsOf({ drops }: DropCapture): readonly Question[] {
  const ranked = drops.flatMap((drop) => {
    const isReversePath = isAmong(drop, reversePath);
    if (!isReversePath && !isAmong(drop, places) && !isExpired(drop)) return [];
    return questionsOfKind(drop).map((question, rank) => ({
      rank,
      packets: drop.packets,
      question: { ...question, isReversePath },
    }));
  });
  ranked.sort((a, b) => a.rank - b.rank || b.packets - a.packets);
  const unlike = new Map(ranked.map(({ question }) => [JSON.stringify(question), question]));
  return [...unlike.values()].slice(0, FLOWS_ASKED);
}

function isAmong(
  { reason, location }: DropCount,
  {
    reasons,
    unnamed,
  }: { readonly reasons: readonly string[]; readonly unnamed: readonly string[] },
): boolean {
  return reason === null || reason === 'NOT_SPECIFIED'
    ? unnamed.includes(location)
    : reasons.includes(reason);
}

/** Elsewhere the reason stands for broken headers. */
function isExpired({ reason, location }: DropCount): boolean {
  return reason === 'IP_INHDR' && forwarding.includes(location);
}

function questionsOfKind({
  protocol,
  details,
}: DropCount): readonly Omit<Question, 'isReversePath'>[] {
  const family = protocol === EtherType.IPv4 ? 4 : 6;
  if (protocol !== EtherType.IPv4 && protocol !== EtherType.IPv6) return [];
  return (details?.topFlows ?? [])
    .filter(
      ({ source, destination }) => isAddress(source, family) && isAddress(destination, family),
    )
    .map(({ source, destination }) => ({
      family,
      source,
      destination,
      interface: details?.interface ?? null,
    }));
}

/** They come off the wire and become arguments of a program: nothing but an address may. */
function isAddress(text: string, family: 4 | 6): boolean {
  return family === 4 ? /^\d+(?:\.\d+){3}$/.test(text) : /^[0-9a-f]*:[0-9a-f:.]*$/i.test(text);
}

async function ask(host: Host, question: Question): Promise<Lookup | undefined> {
  const { isReversePath, ...flow } = question;
  const { family, source, destination } = flow;
  const asIncoming = flow.interface === null ? [] : ['from', source, 'iif', flow.interface];
  const args = [destination, ...asIncoming];
  const answer = await routeGet(host, args);
  if (answer === undefined) return undefined;
  const lookup = { ...flow, command: commandOf(args), answer };
  if (answer.kind !== 'error') return lookup;
  if (isReversePath) {
    const wayBack = await askWayBack(host, question);
    return wayBack === undefined ? undefined : { ...lookup, wayBack };
  }
  const refusal = refusalOf[answer.error];
  if (refusal === undefined) return { ...lookup, refusing: [] };
  const [refusing, passing] = await Promise.all([
    routesFor(host, family, refusal, destination),
    routesFor(host, family, 'throw', destination),
  ]);
  if (refusing === undefined || passing === undefined) return lookup;
  return {
    ...lookup,
    refusing: refusing.flatMap((route) => refusingRoute(route) ?? []),
    passing: passing.flatMap((route) => placeOf(route) ?? []),
  };
}

/** As the filter asks: from the address they were sent to, which matters to policy rules. */
async function askWayBack(
  host: Host,
  { source, destination }: Question,
): Promise<Lookup['wayBack']> {
  const args = [source, 'from', destination];
  const answer = await routeGet(host, args);
  // It answers so for a source that is not an address of this host: they were to be forwarded.
  if (answer?.kind !== 'error' || answer.error !== 'EINVAL') {
    return answer && { command: commandOf(args), answer };
  }
  const plain = await routeGet(host, [source]);
  return plain && { command: commandOf([source]), answer: plain };
}

async function routeGet(host: Host, args: readonly string[]): Promise<Answer | undefined> {
  const run = await host.run(['ip', '-j', 'route', 'get', ...args], {
    timeoutMs: ipCommandTimeoutMs,
  });
  return run.status === 'ok' ? parseAnswer(run.value) : undefined;
}

function commandOf(args: readonly string[]): string {
  return ['ip route get', ...args].join(' ');
}

/** What `ip -j route get` printed. Undefined: no answer (no such interface any more, another program). */
export function parseAnswer({
  stdout,
  stderr,
}: {
  readonly stdout: string;
  readonly stderr: string;
}): Answer | undefined {
  for (const [error, pattern] of errorTexts) {
    const text = pattern.exec(stderr)?.[0];
    if (text !== undefined) return { kind: 'error', error, text };
  }
  const routes = parseIprouteJson(stdout, 'ip route get');
  const [route] = routes.status === 'ok' ? routes.value : [];
  if (route === undefined) return undefined;
  const device = textOf(route, 'dev');
  if (device === undefined) return undefined;
  // `via` where the next hop is of another version of IP.
  const gateway = textOf(route, 'gateway') ?? textOf(objectOf(route, 'via'), 'host');
  return {
    kind: 'route',
    device,
    ...(gateway !== undefined && { gateway }),
    local: textOf(route, 'type') === 'local',
  };
}

/** Routes of this type, in any table, that an address is in. Undefined: could not be listed. */
async function routesFor(
  host: Host,
  family: 4 | 6,
  type: Refusal | 'throw',
  address: string,
): Promise<readonly JsonObject[] | undefined> {
  const show = ['route', 'show', 'table', 'all', 'type', type, 'match', address];
  const routes = await listByIp(host, ['ip', '-j', `-${family}`, ...show]);
  return routes.status === 'ok' ? routes.value : undefined;
}

function placeOf(route: JsonObject): Place | undefined {
  const [destination, table] = [textOf(route, 'dst'), textOf(route, 'table')];
  return destination === undefined
    ? undefined
    : { destination, ...(table !== undefined && { table }) };
}
