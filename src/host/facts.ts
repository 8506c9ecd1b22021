import { readdirSync, readlinkSync, statSync } from 'node:fs';
import os from 'node:os';
import process from 'node:process';

import type { HostFacts } from '../model/host.ts';
import { errnoOf } from './errno.ts';
import { readTextFile } from './files.ts';

/**
 * @param netns as the user named it; null: the namespace whydrop runs in
 * @param netnsInode of that namespace
 */
export async function readFacts(
  netns: string | null,
  netnsInode: number | null,
): Promise<HostFacts> {
  return {
    hostname: os.hostname(),
    kernel: os.release(),
    distribution: await readDistribution(),
    recorded: false,
    netns,
    netnsCount: countNamespaces(),
    netnsInode,
    cpuCount: os.cpus().length,
    root: process.geteuid?.() === 0,
  };
}

async function readDistribution(): Promise<string> {
  for (const path of ['/etc/os-release', '/usr/lib/os-release']) {
    const text = await readTextFile(path);
    if (text.status === 'ok') return parsePrettyName(text.value);
  }
  return '';
}

/** PRETTY_NAME of os-release(5): a shell assignment, quoted or not. Empty when there is none. */
export function parsePrettyName(osRelease: string): string {
  const value = /^PRETTY_NAME=(.*)$/m.exec(osRelease)?.[1]?.trim() ?? '';
  const quoted = /^(["'])(.*)\1$/.exec(value)?.[2] ?? value;
  return quoted.replaceAll(/\\(["'\\$`])/g, '$1');
}

/**
 * Namespaces that a process is in, or that have a name in /run/netns. One held only by an open file
 * or a bind mount elsewhere is missed. Null: only our own was seen, and some processes hide theirs.
 */
function countNamespaces(): number | null {
  try {
    const own = statSync('/proc/self/ns/net');
    const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    const found = new Set(processes.map(namespaceOfProcess));
    for (const name of namesOfNamespaces()) {
      const file = statSync(`/run/netns/${name}`, { throwIfNoEntry: false });
      // A leftover name whose namespace is gone is a plain file on another file system.
      if (file?.dev === own.dev) found.add(`net:[${file.ino}]`);
    }
    const count = [...found].filter((id) => id.startsWith('net:')).length;
    return found.has('denied') && count < 2 ? null : count;
  } catch {
    return null;
  }
}

function namesOfNamespaces(): readonly string[] {
  try {
    return readdirSync('/run/netns');
  } catch {
    return [];
  }
}

/** `net:[4026531840]`; `denied`; `none` for a process that has just ended. */
function namespaceOfProcess(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch (error) {
    return errnoOf(error) === 'EACCES' ? 'denied' : 'none';
  }
}
