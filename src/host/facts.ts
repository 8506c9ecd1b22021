import os from 'node:os';
import process from 'node:process';

import type { HostFacts } from '../model/host.ts';
import { readTextFile } from './files.ts';
import { findNamespaces } from './namespaces.ts';

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

/** Null: only our own was seen, and some processes hide theirs. */
function countNamespaces(): number | null {
  try {
    const { found, someHidden } = findNamespaces();
    return someHidden && found.size < 2 ? null : found.size;
  } catch {
    return null;
  }
}
