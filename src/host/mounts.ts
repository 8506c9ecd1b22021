import { readFileSync } from 'node:fs';

export interface Mount {
  /** Where an administrator finds it. */
  readonly path: string;
  /** The path that leads there from here. */
  readonly reachedBy: string;
}

/**
 * Where file systems of a type are mounted, whether we may go there or not. Also as the first process sees it:
 * `ip netns exec` gives its program a /sys without the mounts in it.
 */
export function mountsOf(type: string): readonly Mount[] {
  const [own, first] = [textOf('/proc/self/mounts'), textOf('/proc/1/mounts')];
  return [
    ...pathsIn(own, type).map((path) => ({ path, reachedBy: path })),
    ...(first === own ? [] : pathsIn(first, type)).map((path) => ({
      path,
      reachedBy: `/proc/1/root${path}`,
    })),
  ];
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // Not for us to see.
    return '';
  }
}

/** Lines of `device path type options 0 0` (proc_pid_mounts(5)). Mounts upon one another are one. */
export function pathsIn(mounts: string, type: string): readonly string[] {
  const paths = mounts.split('\n').flatMap((line) => {
    const [, path, of] = line.split(' ');
    return path === undefined || of !== type ? [] : [unescaped(path)];
  });
  return [...new Set(paths)];
}

/** Blanks are octal: `\040`. */
function unescaped(path: string): string {
  return path.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
