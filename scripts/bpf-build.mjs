// Compiles the BPF programs to objects, which are committed: users need no compiler.
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

/** Object, source, and flags of its own. */
const PROGRAMS = [
  ['bpf/drops.bpf.o', 'bpf/drops.bpf.c'],
  ['bpf/drops-compatible.bpf.o', 'bpf/drops.bpf.c', '-DCOMPATIBLE'],
  ['bpf/sockets.bpf.o', 'bpf/sockets.bpf.c'],
  ['bpf/sockets-compatible.bpf.o', 'bpf/sockets.bpf.c', '-DCOMPATIBLE'],
  ['bench/empty.bpf.o', 'bench/empty.bpf.c'],
];

const check = process.argv.includes('--check');
const version = execFileSync('clang', ['--version'], { encoding: 'utf8' });
const major = /version (\d+)/.exec(version)?.[1];
if (check && major !== CLANG_MAJOR) {
  console.error(`bpf-build --check needs clang ${CLANG_MAJOR}; this is ${version.split('\n')[0]}`);
  process.exit(1);
}

const root = join(import.meta.dirname, '..');
const work = mkdtempSync(join(tmpdir(), 'bpf-build-'));
const made = join(work, 'made.o');
try {
  for (const [object, source, ...flags] of PROGRAMS) {
    execFileSync('clang', [...FLAGS, ...flags, '-c', source, '-o', made], {
      cwd: root,
      stdio: 'inherit',
    });
    execFileSync('llvm-strip', ['-g', made]);
    const bytes = readFileSync(made);
    const committed = join(root, object);
    if (!check) {
      writeFileSync(committed, bytes);
      console.log(`${object}: ${bytes.length} bytes`);
    } else if (!bytes.equals(readFileSync(committed))) {
      console.error(`${object} is not what its source makes: run node scripts/bpf-build.mjs`);
      process.exitCode = 1;
    }
  }
} finally {
  rmSync(work, { recursive: true });
}
