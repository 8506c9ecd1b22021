import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import type { Checkpoint } from '../../../src/fix/checkpoints.ts';
import type { FixEnvironment } from '../../../src/fix/environment.ts';
import type { FixEvent } from '../../../src/fix/events.ts';
import { sysctlPath } from '../../../src/model/sysctl-key.ts';
import { directoryStore } from './directory-store.ts';

/** A machine in a temporary directory. */
export interface Sandbox {
  readonly directory: string;
  readonly environment: FixEnvironment;
  readonly events: FixEvent[];
}

/** @param settings raw values of the initial namespace, by key */
export async function makeSandbox(settings: Readonly<Record<string, string>>): Promise<Sandbox> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'whydrop-fix-'));
  await mkdir(path.join(directory, 'root/etc/sysctl.d'), { recursive: true });
  for (const [key, value] of Object.entries(settings)) {
    await putFile(path.join(directory, 'sysctls/initial', sysctlPath(key) ?? 'none'), value);
  }
  const events: FixEvent[] = [];
  const environment = sandboxEnvironment(directory, (event) => {
    events.push(event);
  });
  return { directory, environment, events };
}

export async function removeSandbox({ directory }: Sandbox): Promise<void> {
  await rm(directory, { recursive: true, force: true });
}

/** The environment of a sandbox that another process made. */
export function sandboxEnvironment(
  directory: string,
  observe: (event: FixEvent) => void = () => {},
  checkpoint: (name: Checkpoint) => void = () => {},
): FixEnvironment {
  return {
    store: directoryStore(path.join(directory, 'sysctls')),
    stateDirectory: path.join(directory, 'state'),
    root: path.join(directory, 'root'),
    observe,
    checkpoint,
    now: () => new Date('2026-11-21T23:00:00.000Z'),
  };
}

export async function putFile(file: string, text: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, text);
}

/** Every file below a directory, by path, with its bytes. */
export async function snapshot(directory: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((entry) => entry.isFile())) {
    const file = path.join(entry.parentPath, entry.name);
    files[path.relative(directory, file)] = await readFile(file, 'utf8');
  }
  return files;
}
