// Builds dist: a few large files. Of one file for each source, node would need 0.3 s more of a CPU to load them.
// Types are checked by `npm run check`.
import { chmodSync, rmSync } from 'node:fs';
import { build } from 'esbuild';

// Parts have other names after a change: the old ones would stay.
rmSync('dist', { recursive: true, force: true });
await build({
  entryPoints: [
    'src/cli/main.ts',
    // The program in parts, for the lab and the bench.
    'src/cli/measure.ts',
    'src/cli/open-host.ts',
    'src/capture/bpf/capture.ts',
  ],
  outdir: 'dist',
  outbase: '.',
  // As far below the root as the sources are: src/capture/bpf/program.ts looks for its objects from there.
  chunkNames: 'src/parts/[name]-[hash]',
  bundle: true,
  splitting: true,
  packages: 'external',
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  logLevel: 'warning',
});
// npx does so only the first time it sees a directory.
chmodSync('dist/src/cli/main.js', 0o755);
