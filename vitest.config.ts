import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // By default one CPU is left idle, which is half of a small machine.
    maxWorkers: '100%',
    projects: [
      // The limits are against hangs: a busy machine is slow, not wrong.
      // Without isolation a worker loads the rules once, not once a file: a third of the work.
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          setupFiles: ['test/properties.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          isolate: false,
        },
      },
      {
        test: {
          name: 'hosts',
          include: ['test/hosts/**/*.test.ts'],
          testTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 60_000,
          // Files of this group run beside each other.
          sequence: { groupOrder: 1 },
          // In each: there may be two CPUs only.
          maxConcurrency: 2,
        },
      },
      {
        test: {
          name: 'lab',
          include: ['test/lab/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 60_000,
          // The faults share one kernel: host-wide settings and one stream of drops. After all other groups.
          fileParallelism: false,
          // Tests in namespaces of their own wait more than they work.
          maxConcurrency: 3,
        },
      },
    ],
  },
});
