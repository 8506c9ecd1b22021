import { readFile, writeFile } from 'node:fs/promises';
import { run } from './command.ts';

/** Undoes what a scenario did, last first, also when a step of it fails. */
export class CleanUp {
  readonly #steps: (() => Promise<unknown>)[] = [];

  add(step: () => Promise<unknown>): void {
    this.#steps.unshift(step);
  }

  async run(): Promise<void> {
    const failures: unknown[] = [];
    for (const step of this.#steps.splice(0)) {
      await step().catch((error: unknown) => failures.push(error));
    }
    if (failures.length > 0) throw new AggregateError(failures, 'the lab could not be cleaned up');
  }
}

/**
 * Two hosts and a cable: the sender `a` (10.77.0.1, va) and the receiver `b` (10.77.0.2, vb), each a
 * network namespace. Names carry the process id, so that an aborted run cannot be in the way.
 */
export interface Pair {
  readonly a: string;
  readonly b: string;
  readonly cleanUp: CleanUp;
}

export const SENDER = '10.77.0.1';
export const RECEIVER = '10.77.0.2';

let pairs = 0;

export async function makePair(): Promise<Pair> {
  pairs += 1;
  const [a, b] = [`wd${process.pid}a${pairs}`, `wd${process.pid}b${pairs}`];
  const cleanUp = new CleanUp();
  for (const name of [a, b]) {
    await run(`ip netns add ${name}`);
    cleanUp.add(() => run(`ip netns del ${name}`));
    await run(`ip -n ${name} link set lo up`);
  }
  await run(`ip -n ${a} link add va type veth peer name vb netns ${b}`);
  await run(`ip -n ${a} addr add ${SENDER}/24 dev va`);
  await run(`ip -n ${b} addr add ${RECEIVER}/24 dev vb`);
  await run(`ip -n ${a} link set va up`);
  await run(`ip -n ${b} link set vb up`);
  // Neighbours are known, so that no packet waits for (or is lost to) ARP in the window.
  await run(
    `ip -n ${a} neigh replace ${RECEIVER} dev va lladdr ${await macOf(b, 'vb')} nud permanent`,
  );
  await run(
    `ip -n ${b} neigh replace ${SENDER} dev vb lladdr ${await macOf(a, 'va')} nud permanent`,
  );
  return { a, b, cleanUp };
}

/** One more host, with a cable from its eth0 to the interface `port` of the namespace `to`. @returns its namespace */
export async function addHost(cleanUp: CleanUp, to: string, port: string): Promise<string> {
  const host = `${to}${port}`;
  await run(`ip netns add ${host}`);
  cleanUp.add(() => run(`ip netns del ${host}`));
  await run(`ip -n ${host} link set lo up`);
  await run(`ip -n ${to} link add ${port} type veth peer name eth0 netns ${host}`);
  await run(`ip -n ${to} link set ${port} up`);
  await run(`ip -n ${host} link set eth0 up`);
  return host;
}

export async function macOf(netns: string, name: string): Promise<string> {
  const [link] = JSON.parse(await run(`ip -n ${netns} -j link show ${name}`)) as {
    address: string;
  }[];
  if (link === undefined) throw new Error(`${name} has no address`);
  return link.address;
}

/** Addresses of a frame from the sender to the receiver, in hexadecimal; the EtherType follows. */
export async function frameAddresses({ a, b }: Pair): Promise<string> {
  return `${await macOf(b, 'vb')}${await macOf(a, 'va')}`.replaceAll(':', '');
}

/** Runs a command in a namespace. */
export async function inside(netns: string, line: string, input?: string): Promise<string> {
  return run(`ip netns exec ${netns} ${line}`, input);
}

/**
 * Sets a host-wide setting for one scenario. The old value is put back by the clean-up, and by the next
 * run of the lab when this one is killed.
 */
export async function setHostWide(cleanUp: CleanUp, path: string, value: string): Promise<void> {
  const before = await readFile(path, 'utf8');
  await rememberForCrash(path, before);
  cleanUp.add(async () => {
    await writeFile(path, before);
    await forget(path);
  });
  await writeFile(path, value);
}

const CRASH_FILE = '/run/whydrop-lab.json';

async function remembered(): Promise<Record<string, string>> {
  try {
    return JSON.parse(await readFile(CRASH_FILE, 'utf8')) as Record<string, string>;
  } catch {
    return {};
  }
}

async function rememberForCrash(path: string, value: string): Promise<void> {
  await writeFile(CRASH_FILE, JSON.stringify({ [path]: value, ...(await remembered()) }));
}

async function forget(path: string): Promise<void> {
  const { [path]: _, ...rest } = await remembered();
  await writeFile(CRASH_FILE, JSON.stringify(rest));
}

/** Puts back what a killed run of the lab left changed. */
export async function restoreAfterCrash(): Promise<void> {
  for (const [path, value] of Object.entries(await remembered())) {
    await writeFile(path, value);
    await forget(path);
  }
}

/** Every setting of the network, of a namespace and of the host: what undo has to bring back. */
export async function allSettings(netns: string): Promise<string> {
  // grep leaves out what cannot be read (write-only files) and ends with 2 for it.
  const settings = async (prefix: string): Promise<string> =>
    await run(
      `${prefix}find /proc/sys/net -type f -readable -not -name stable_secret -not -path */random* -not -name nf_conntrack_count -exec grep -sH  {} +`,
    ).catch(String);
  return `${await settings('')}\n${await settings(`ip netns exec ${netns} `)}`;
}

export async function nft(netns: string, rules: string): Promise<void> {
  await inside(netns, 'nft -f -', rules);
}
