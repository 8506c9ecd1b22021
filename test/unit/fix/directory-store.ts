import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

import type { NetnsTarget } from '../../../src/fix/netns-target.ts';
import type { SysctlStore } from '../../../src/fix/sysctl-store.ts';
import { ok, unread, type Reading } from '../../../src/model/reading.ts';
import { sysctlPath } from '../../../src/model/sysctl-key.ts';

/** Settings as files below `<base>/<namespace>`, which survive a killed process as the kernel's do. */
export function directoryStore(base: string): SysctlStore {
  const fileOf = (key: string, target: NetnsTarget): string =>
    path.join(base, target.kind === 'initial' ? 'initial' : target.name, sysctlPath(key) ?? 'none');

  const read = async (key: string, target: NetnsTarget): Promise<Reading<string>> => {
    try {
      return ok(await readFile(fileOf(key, target), 'utf8'));
    } catch {
      return unread('absent', `${key}: no such setting here`);
    }
  };
  const list: SysctlStore['list'] = async (tree, target) => {
    const names = await readdir(fileOf(tree, target)).catch(() => []);
    return ok(names);
  };

  return {
    locate: async (netns) => {
      if (netns === null) return ok({ kind: 'initial' });
      const found = await stat(path.join(base, netns)).catch(() => undefined);
      if (found === undefined) return unread('absent', `network namespace ${netns} is gone`);
      return ok({
        kind: 'netns',
        name: netns,
        path: `/${netns}`,
        inode: '1',
        mark: '',
        bootId: '',
      });
    },
    read,
    list,
    write: async (key, target, value) => {
      if (key === 'net.core.refused')
        return unread('malformed', `${key}: the kernel refuses this value`);
      if (key === 'net.core.stubborn') return ok(null);
      await writeFile(fileOf(key, target), asKernelPrints(key, value));
      if (key === 'net.ipv4.ip_forward') await changeForwarding(value.trim());
      return ok(null);

      /** As inet_forward_change (net/ipv4/devinet.c) does. */
      async function changeForwarding(on: string): Promise<void> {
        const names = await list('net.ipv4.conf', target);
        for (const name of names.status === 'ok' ? names.value : []) {
          const key = `net.ipv4.conf.${name.replaceAll('.', '/')}.forwarding`;
          await writeFile(fileOf(key, target), `${on}\n`);
        }
        const redirects = fileOf('net.ipv4.conf.all.accept_redirects', target);
        await writeFile(redirects, on === '0' ? '1\n' : '0\n');
      }
    },
  };
}

function asKernelPrints(key: string, value: string): string {
  if (key === 'net.core.clamped') return `${Math.min(100, Number(value))}\n`;
  return `${value.trim().split(/\s+/).join('\t')}\n`;
}
