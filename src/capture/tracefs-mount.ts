import { closeSync, constants, existsSync, openSync } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { runCommand } from '../host/command.ts';
import { startMountHolder } from '../host/holder.ts';
import { ok, unread, type Reading, type Unread } from '../model/reading.ts';
import { errorCode, tracefsUnread } from './unavailable.ts';

export interface OpenTracefs {
  /** Absolute path of a tracefs; good until close(), for this process only. */
  readonly directory: string;
  /** Gives up a private mount. Idempotent. */
  close(): Promise<void>;
}

const mountPoint = '/sys/kernel/tracing';
const usualDirectories = [mountPoint, '/sys/kernel/debug/tracing'];

/**
 * Finds a mounted tracefs, or, as root, mounts one that nobody else sees and that leaves nothing
 * behind, not even after kill -9.
 */
export async function openTracefs(): Promise<Reading<OpenTracefs>> {
  for (const directory of usualDirectories) {
    try {
      await access(`${directory}/instances`, constants.R_OK | constants.W_OK);
      return ok({ directory, close: async () => {} });
    } catch (error) {
      // ENOENT: nothing is mounted there. A mounted one is closed to all but root (mode 700).
      if (errorCode(error) !== 'ENOENT') return tracefsUnread(error, `Cannot use ${directory}`);
    }
  }
  if (!(await kernelHasTracefs())) {
    return unread('absent', 'Cannot watch drops live: this kernel is built without tracefs.');
  }
  if (process.geteuid?.() !== 0) {
    return unread('denied', 'Cannot watch drops live: needs root. Run it with sudo.');
  }
  if (!existsSync(mountPoint)) {
    return unread(
      'absent',
      `Cannot watch drops live: there is no ${mountPoint} to mount tracefs on.`,
    );
  }
  return mountPrivately();
}

async function kernelHasTracefs(): Promise<boolean> {
  try {
    return /\btracefs$/m.test(await readFile('/proc/filesystems', 'utf8'));
  } catch {
    return true;
  }
}

/**
 * Mounts tracefs in a mount namespace of its own and holds it by an open directory. The helper that
 * carried the namespace ends at once: the mount lives as long as the descriptor, so it goes with
 * this process however that ends.
 */
async function mountPrivately(): Promise<Reading<OpenTracefs>> {
  const holder = await startMountHolder();
  if (holder.status !== 'ok') return notMounted(holder.reason);
  const { pid } = holder.value;
  try {
    const mount = await runCommand(['mount', '-t', 'tracefs', 'tracefs', mountPoint], {}, [
      'nsenter',
      '--target',
      String(pid),
      '--mount',
      '--',
    ]);
    if (mount.status !== 'ok') return notMounted(mount.reason);
    if (mount.value.exitCode !== 0) return notMounted(mount.value.stderr);

    const fd = openSync(
      `/proc/${pid}/root${mountPoint}`,
      constants.O_RDONLY | constants.O_DIRECTORY,
    );
    let closed = false;
    return ok({
      directory: `/proc/self/fd/${fd}`,
      close: async () => {
        if (closed) return;
        closed = true;
        closeSync(fd);
      },
    });
  } catch (error) {
    return tracefsUnread(error, 'Cannot open the tracefs that was just mounted');
  } finally {
    await holder.value.close();
  }
}

function notMounted(complaint: string): Unread {
  const why = complaint.trim().split('\n', 1)[0]?.slice(0, 200) ?? '';
  return unread(
    'denied',
    `Cannot watch drops live: tracefs is not mounted, and mounting it failed${why === '' ? '' : ` (${why})`}. ` +
      `On a host this helps: mount -t tracefs tracefs ${mountPoint}; a container also needs CAP_SYS_ADMIN.`,
  );
}
