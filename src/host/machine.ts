import { mapBounded } from '../model/bounded.ts';
import type { CaptureOptions, ClosedSite, Host, HostFacts, Machine, Site } from '../model/host.ts';
import { ok, type Reading } from '../model/reading.ts';
import { LiveCaptures } from './capture.ts';
import type { ClosableView } from './closable.ts';
import { directView } from './direct.ts';
import { enterNamespace } from './entered.ts';
import { readFacts } from './facts.ts';
import { LiveHost } from './live.ts';
import {
  openInitialNamespace,
  openNamedNamespace,
  openOwnNamespace,
  type Namespace,
} from './namespace.ts';
import { nameNamespaces } from './namespace-names.ts';
import { findNamespaces, referenceTo, type FoundNamespace } from './namespaces.ts';
import { visitNamespace } from './visited.ts';
import { openVisits, type Visits } from './visits.ts';

/** Where namespaces cannot be visited: helper processes started at once. */
const ENTERED_AT_ONCE = 4;

/** The machine we run on, with all its network namespaces. One that goes away meanwhile is left out. */
export async function openMachine(
  /** That will be asked for: it is made ready meanwhile. */
  capture: CaptureOptions['backend'] | 'none',
): Promise<Reading<Machine>> {
  const captures = new LiveCaptures();
  if (capture !== 'none') captures.prepare(capture);
  const own = await inodeOf(openOwnNamespace());
  if (own.status !== 'ok') {
    await captures.close();
    return own;
  }
  const [initialInode, facts, visits] = await Promise.all([
    inodeOf(openInitialNamespace()),
    readFacts(null, null),
    openVisits(),
  ]);
  const { found } = findNamespaces();
  const opening: Opening = {
    facts,
    captures,
    visits: visits.status === 'ok' ? visits.value : null,
    ownInode: own.value,
    names: nameNamespaces(found.values()),
  };
  const ofInitial = initialInode.status === 'ok' ? found.get(initialInode.value) : undefined;
  const entered =
    ofInitial === undefined || ofInitial.inode === own.value
      ? undefined
      : await openOther(opening, ofInitial, undefined);
  // Without the right to enter it, we take our own for the initial one.
  const initial: Site = {
    name: null,
    host: entered?.status === 'ok' ? entered.value.host : openOwn(opening, undefined).host,
  };

  const others: Site[] = [];
  const closed: ClosedSite[] = [];
  const rest = [...found.values()].filter(({ inode }) => inode !== initial.host.facts.netnsInode);
  await mapBounded(rest, ENTERED_AT_ONCE, async (namespace) => {
    const { inode } = namespace;
    const site =
      inode === own.value
        ? ok(openOwn(opening, initial.host))
        : await openOther(opening, namespace, initial.host);
    if (site?.status === 'ok') others.push(site.value);
    else if (site !== undefined) {
      closed.push({ name: nameOf(opening, inode), inode, reason: site.reason });
    }
  });
  return ok({
    initial,
    others: others.sort((a, b) =>
      (a.name ?? '').localeCompare(b.name ?? '', 'en', { numeric: true }),
    ),
    closed,
    async close() {
      await Promise.all([initial, ...others].map(({ host }) => host.close()));
    },
  });
}

interface Opening {
  readonly facts: HostFacts;
  readonly captures: LiveCaptures;
  /** Null: they are not possible. */
  readonly visits: Visits | null;
  readonly ownInode: number;
  readonly names: ReadonlyMap<number, string>;
}

async function inodeOf(opening: Promise<Reading<Namespace>>): Promise<Reading<number>> {
  const namespace = await opening;
  if (namespace.status !== 'ok') return namespace;
  await namespace.value.close();
  return ok(namespace.value.inode);
}

function nameOf({ names }: Opening, inode: number): string {
  return names.get(inode) ?? `inode ${inode}`;
}

/** @param initial undefined: this is it */
function openOwn(opening: Opening, initial: Host | undefined): Site {
  const { facts, captures, ownInode } = opening;
  const place = { view: directView, initial, inode: ownInode };
  return {
    name: nameOf(opening, ownInode),
    host: new LiveHost({ ...facts, netns: null, netnsInode: ownInode }, place, captures),
  };
}

/** Undefined: it is gone. */
async function openOther(
  opening: Opening,
  found: FoundNamespace,
  initial: Host | undefined,
): Promise<Reading<Site> | undefined> {
  const { facts, captures, visits } = opening;
  const { inode } = found;
  const netns = referenceTo(found);
  if (netns === null) return undefined;
  const namespace = await openNamedNamespace(netns);
  if (namespace.status !== 'ok') return namespace.status === 'absent' ? undefined : namespace;
  // The process may have ended, and another one have its number.
  if (namespace.value.inode !== inode) {
    await namespace.value.close();
    return undefined;
  }
  const view = await viewOf(namespace.value, visits);
  if (view.status !== 'ok') return view;
  const place = { view: view.value, initial, inode };
  return ok({
    name: nameOf(opening, inode),
    host: new LiveHost({ ...facts, netns, netnsInode: inode }, place, captures),
  });
}

async function viewOf(namespace: Namespace, visits: Visits | null): Promise<Reading<ClosableView>> {
  const visited = visits === null ? undefined : visitNamespace(namespace, visits);
  return visited?.status === 'ok' ? visited : enterNamespace(namespace);
}
