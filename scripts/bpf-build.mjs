// Compiles the programs in bpf/ to the objects beside them, which are committed: users need no compiler.
// `--check` compiles to memory and fails when a committed object differs (.ci/run).
//
// The same compiler makes the same bytes: paths in it are relative, and DWARF is stripped (BTF stays).
// Another major version of clang makes other bytes, so the check insists on the one below, that of Debian 12.
// Little-endian only, as are all machines but s390x whose distributions build kernels with BTF.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const CLANG_MAJOR = '14';
const FLAGS = '-target bpfel -mcpu=v3 -O2 -g -ffile-compilation-dir=. -Wall -Werror'.split(' ');

const check = process.argv.includes('--check');
const version = execFileSync('clang', ['--version'], { encoding: 'utf8' });
const major = /version (\d+)/.exec(version)?.[1];
if (check && major !== CLANG_MAJOR) {
  console.error(`bpf-build --check needs clang ${CLANG_MAJOR}; this is ${version.split('\n')[0]}`);
  process.exit(1);
}

const root = join(import.meta.dirname, '..');
const work = mkdtempSync(join(tmpdir(), 'bpf-build-'));
try {
  for (const [object, source, ...flags] of [
    ['drops.bpf.o', 'drops.bpf.c'],
    ['drops-compatible.bpf.o', 'drops.bpf.c', '-DCOMPATIBLE'],
    ['sockets.bpf.o', 'sockets.bpf.c'],
    ['sockets-compatible.bpf.o', 'sockets.bpf.c', '-DCOMPATIBLE'],
    ['empty.bpf.o', 'empty.bpf.c'],
  ]) {
    const made = join(work, object);
    execFileSync('clang', [...FLAGS, ...flags, '-c', `bpf/${source}`, '-o', made], {
      cwd: root,
      stdio: 'inherit',
    });
    execFileSync('llvm-strip', ['-g', made]);
    const bytes = readFileSync(made);
    const committed = join(root, 'bpf', object);
    if (!check) {
      writeFileSync(committed, bytes);
      console.log(`bpf/${object}: ${bytes.length} bytes`);
    } else if (!bytes.equals(readFileSync(committed))) {
      console.error(`bpf/${object} is not what its source makes: run node scripts/bpf-build.mjs`);
      process.exitCode = 1;
    }
  }
} finally {
  rmSync(work, { recursive: true });
}
