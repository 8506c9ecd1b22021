import { readFileSync } from 'node:fs';

import { nameOf, type FoundNamespace } from './namespaces.ts';

/**
 * Names for people, by inode number, no two alike: as `ip netns` calls it, else the container, pod or
 * service that lives there, else a process. Names of processes and of containers are untrusted.
 */
export function nameNamespaces(
  namespaces: Iterable<FoundNamespace>,
  describe: (pid: number) => ProcessDescription = describeProcess,
): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  const taken = new Set<string>();
  for (const namespace of namespaces) {
    const name = nameFor(namespace, describe);
    const unique = taken.has(name) ? `${name} (inode ${namespace.inode})` : name;
    taken.add(unique);
    names.set(namespace.inode, unique);
  }
  return names;
}

function nameFor(namespace: FoundNamespace, describe: (pid: number) => ProcessDescription): string {
  const { inode, path, pid } = namespace;
  const name = nameOf(namespace);
  // Container runtimes make up `cni-<uuid>`, which tells nobody anything.
  if (name !== null && !name.startsWith('cni-')) return name;
  if (pid !== null) {
    const { cgroup, command } = describe(pid);
    const owner = ownerOfCgroup(cgroup);
    if (owner !== null) return owner;
    if (path === null) return command === '' ? `pid ${pid}` : `pid ${pid} (${command})`;
  }
  return name ?? path ?? `inode ${inode}`;
}

/** Empty where it cannot be read. */
export interface ProcessDescription {
  /** /proc/PID/cgroup */
  readonly cgroup: string;
  /** /proc/PID/comm */
  readonly command: string;
}

function describeProcess(pid: number): ProcessDescription {
  const read = (name: string): string => {
    try {
      return readFileSync(`/proc/${pid}/${name}`, 'utf8');
    } catch {
      return '';
    }
  };
  return { cgroup: read('cgroup'), command: read('comm').trimEnd() };
}

/** As much of a container's id as `docker ps` shows. */
const SHORT_ID = 12;

/**
 * Who a process belongs to, by the cgroups it is in (cgroups(7), one line for each hierarchy):
 * `pod 1b2c…`, `docker 3f2a…`, `lxc web`, `machine web`, `systemd-resolved.service`. Null: nobody that
 * would have a network namespace of its own. The innermost container is not looked for: containers of
 * a pod share its namespace.
 */
export function ownerOfCgroup(cgroup: string): string | null {
  const paths = cgroup.split('\n').map((line) => line.replace(/^\d+:[^:]*:/, ''));
  for (const owner of owners) {
    for (const path of paths) {
      const name = owner(path);
      if (name !== null) return name;
    }
  }
  return null;
}

type Owner = (path: string) => string | null;

/** The surest first. Paths as of the cgroupfs and systemd drivers of each runtime. */
const owners: readonly Owner[] = [
  // /kubepods/burstable/pod<uid>/…, /kubepods.slice/…/kubepods-burstable-pod<uid>.slice/…; there dashes are underscores.
  matching(
    /kubepods[^/]*(?:\/[^/]+)*?\/(?:[\w-]*-)?pod([\da-f]{8}(?:[-_][\da-f]{4}){3}[-_][\da-f]{12})/,
    (uid) => `pod ${uid.replaceAll('_', '-')}`,
  ),
  // /docker/<id>, /docker-<id>.scope, /libpod-<id>.scope, /cri-containerd-<id>.scope, /crio-<id>.scope …
  matching(/\/(docker|podman|libpod)[-/]([\da-f]{64})(?:\.scope)?(?:\/|$)/, container),
  matching(/\/(cri-containerd|crio|nerdctl)-([\da-f]{64})\.scope(?:\/|$)/, container),
  // /lxc/<name>, /lxc.payload/<name>, /lxc.payload.<name>
  matching(/\/lxc(?:\.payload)?[/.]([^/]+)/, (name) => `lxc ${name}`),
  matching(/\/machine\.slice\/machine-([^/]+)\.scope/, (name) => `machine ${unescaped(name)}`),
  matching(/\/systemd-nspawn@([^/]+)\.service/, (name) => `machine ${unescaped(name)}`),
  // A service with PrivateNetwork=. Not what a user's own systemd runs: that is sandboxes of browsers.
  matching(/^\/system\.slice\/(?:[^/]+\.slice\/)*([^/]+\.service)(?:\/|$)/, unescaped),
];

function matching(pattern: RegExp, nameOf: (...groups: string[]) => string): Owner {
  return (path) => {
    const groups = pattern.exec(path)?.slice(1);
    return groups === undefined ? null : nameOf(...groups);
  };
}

function container(runtime = '', id = ''): string {
  const tool = runtime === 'libpod' ? 'podman' : runtime;
  return `${tool} ${id.slice(0, SHORT_ID)}`;
}

/** systemd-escape(1): `\x2d` is a dash. */
function unescaped(name = ''): string {
  return name.replaceAll(/\\x([\da-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
