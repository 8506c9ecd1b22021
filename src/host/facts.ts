import { readdir, readlink, stat } from 'node:fs/promises';
import os from 'node:os';
import process from 'node:process';

import type { HostFacts } from '../model/host.ts';
import { mapBounded } from './bounded.ts';
import { errnoOf } from './errno.ts';
import { readTextFile } from './files.ts';

/** @param netns as the user named it; null: the namespace whydrop runs in. */
export async function readFacts(netns: string | null): Promise<HostFacts> {
  const [distribution, netnsCount] = await Promise.all([readDistribution(), countNamespaces()]);
  return {
    hostname: os.hostname(),
    kernel: os.release(),
    distribution,
    recorded: false,
    netns,
    netnsCount,
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
async function countNamespaces(): Promise<number | null> {
  try {
    const own = await stat('/proc/self/ns/net');
    const processes = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const used = await mapBounded(processes, 8, namespaceOfProcess);
    const names = await readdir('/run/netns').catch(() => []);
    const named = await mapBounded(names, 8, async (name) => {
      const file = await stat(`/run/netns/${name}`).catch(() => undefined);
      // A leftover name whose namespace is gone is a plain file on another file system.
      return file?.dev === own.dev ? `net:[${file.ino}]` : 'none';
    });

    const found = new Set([...used, ...named]);
    const count = [...found].filter((id) => id.startsWith('net:')).length;
    return found.has('denied') && count < 2 ? null : count;
  } catch {
    return null;
  }
}

/** `net:[4026531840]`; `denied`; `none` for a process that has just ended. */
async function namespaceOfProcess(pid: string): Promise<string> {
  try {
    return await readlink(`/proc/${pid}/ns/net`);
  } catch (error) {
    return errnoOf(error) === 'EACCES' ? 'denied' : 'none';
  }
}
