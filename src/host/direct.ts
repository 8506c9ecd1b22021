import { mapBounded } from '../model/bounded.ts';
import type { ClosableView } from './closable.ts';
import { runCommand } from './command.ts';
import { listDirectory, readTextFile } from './files.ts';

/** More gains nothing: libuv has four threads for file work. */
const FILES_AT_ONCE = 8;

/** The namespace whydrop runs in: paths and commands as they are. */
export const directView: ClosableView = {
  readFile: (path) => readTextFile(path),
  readFiles: (paths) => mapBounded(paths, FILES_AT_ONCE, (path) => readTextFile(path)),
  list: (directory) => listDirectory(directory),
  run: (argv, options) => runCommand(argv, options),
  close: () => Promise.resolve(),
};
