import { accessSync, constants } from 'node:fs';
import { dirname } from 'node:path';
import type { HostFacts } from '../../model/host.ts';
import type { Capability } from '../../model/self-check.ts';
import { runCommand } from '../command.ts';
import { errnoOf } from '../errno.ts';

/** @param stateDirectory where fixes are noted */
export async function systemCapabilities(
  facts: HostFacts,
  stateDirectory: string,
): Promise<readonly Capability[]> {
  return [
    rootCapability(facts),
    await namespaceCapability(facts),
    writable({
      id: 'settings',
      title: 'Settings',
      path: '/proc/sys/net/core/netdev_max_backlog',
      without: '`whydrop fix` prints commands, but cannot apply them',
    }),
    writable({
      id: 'journal',
      title: 'Journal of changes',
      path: stateDirectory,
      without: '`whydrop fix` changes nothing, because nothing could be undone',
    }),
  ];
}

function rootCapability({ root }: HostFacts): Capability {
  const capability = { id: 'root', group: 'system', title: 'root' } as const;
  if (root) return { ...capability, status: 'ok', found: 'whydrop runs as root' };
  return {
    ...capability,
    status: 'missing',
    found: 'whydrop does not run as root',
    without: 'drops cannot be watched, and the firewall and most processes cannot be looked at',
    help: 'sudo whydrop self-check',
  };
}

/** As a report with --netns does it. */
async function namespaceCapability({ netnsCount }: HostFacts): Promise<Capability> {
  const capability = { id: 'netns', group: 'system', title: 'Other network namespaces' } as const;
  const enter = ['nsenter', '--net=/proc/self/ns/net', '--'];
  const output = await runCommand(['unshare', '--mount', 'true'], {}, enter);
  if (output.status === 'ok' && output.value.exitCode === 0) {
    const seen = netnsCount === null ? '' : `, ${netnsCount} seen`;
    return { ...capability, status: 'ok', found: `can be entered${seen}` };
  }
  const complaint = output.status === 'ok' ? output.value.stderr.trim() : output.reason;
  return {
    ...capability,
    status: 'missing',
    found: complaint.split('\n', 1)[0] ?? '',
    without: '--netns cannot look into another namespace',
    help: 'root, in a container with CAP_SYS_ADMIN; nsenter and unshare of package util-linux',
  };
}

/** A path that need not exist: then the nearest folder above counts. */
function writable({
  id,
  title,
  path,
  without,
}: {
  readonly id: string;
  readonly title: string;
  readonly path: string;
  readonly without: string;
}): Capability {
  const capability = { id, group: 'fix', title } as const;
  const errno = writeError(path);
  if (errno === null) return { ...capability, status: 'ok', found: `${path} can be written` };
  return {
    ...capability,
    status: 'missing',
    found: `${path} cannot be written (${errno})`,
    without,
  };
}

/** Null: it can be written. */
function writeError(path: string): string | null {
  try {
    accessSync(path, constants.W_OK);
    return null;
  } catch (error) {
    const errno = errnoOf(error) ?? String(error);
    return errno === 'ENOENT' && path !== '/' ? writeError(dirname(path)) : errno;
  }
}
