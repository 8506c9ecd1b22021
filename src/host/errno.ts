import { unread, type Unread } from '../model/reading.ts';

/** The errno name of a failed system call (`ENOENT`), or undefined when the error is something else. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/**
 * What a failed open or read of `path` means. Files of procfs and sysfs use many errnos to say
 * "this device or driver has no such value" (EINVAL for the speed of a link that is down, EOPNOTSUPP,
 * EIO for an IPv6 secret that is not set); none of them is a fault of the machine.
 */
export function unreadFile(path: string, errno: string): Unread {
  switch (errno) {
    case 'ENOENT':
    case 'ENOTDIR':
      return unread('absent', `${path}: no such file`);
    case 'EACCES':
    case 'EPERM':
      return unread('denied', `${path}: permission denied`);
    case 'EISDIR':
      return unread('malformed', `${path}: is a directory, not a file`);
    case 'ELOOP':
    case 'ENAMETOOLONG':
      return unread('malformed', `${path}: not a usable path (${errno})`);
    case 'EMFILE':
    case 'ENFILE':
    case 'ENOMEM':
      return unread('crashed', `${path}: the system ran out of files or memory (${errno})`);
    default:
      return unread('absent', `${path}: the kernel gives no value (${errno})`);
  }
}
