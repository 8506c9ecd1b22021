import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    projects: [
      // The limits are against hangs: a busy machine is slow, not wrong.
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 60_000 } },
      { test: { name: 'hosts', include: ['test/hosts/**/*.test.ts'], testTimeout: 60_000 } },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 60_000,
          fileParallelism: false,
          // There may be two CPUs only.
          maxConcurrency: 3,
        },
      },
      {
        test: {
          name: 'lab',
          include: ['test/lab/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 60_000,
          // The faults share one kernel: host-wide settings and one stream of drops.
          fileParallelism: false,
          // As above; tests in namespaces of their own wait more than they work.
          maxConcurrency: 3,
        },
      },
    ],
  },
});
