import { defineByReason } from '../by-reason.ts';

const REASONS: ReadonlySet<string> = new Set(['NOMEM', 'PFMEMALLOC', 'SKB_UCOPY_FAULT']);

export default defineByReason({
  id: 'alloc-failure',
  title: 'The kernel has no memory for packets',
  reviewed: '2026-11-22',
  matches: ({ reason }) => reason !== null && REASONS.has(reason),
  confidence: 'likely',
  means:
    'The kernel was out of free memory when it handled these packets. It may keep too small a reserve for bursts, or the whole machine is short of memory.',
  fixes: [
    {
      id: 'find-memory',
      title: 'Find out what takes the memory, and keep a larger reserve',
      risk: 'caution',
      cost: 'A larger reserve is memory that programs do not get.',
      steps: [
        {
          kind: 'command',
          argv: ['journalctl', '-k', '-g', 'page allocation failure|Out of memory'],
          why: 'the kernel logs what it could not get, and for whom',
        },
        {
          kind: 'manual',
          text: 'If MemAvailable in /proc/meminfo is low, some program takes too much. If there is enough, bursts are faster than memory is made free: raise vm.min_free_kbytes step by step (sysctl vm.min_free_kbytes shows it), to at most a few per cent of the memory.',
        },
      ],
      takesEffect: 'at-once',
    },
  ],
  explain: {
    see: 'Drops under memory pressure, and "page allocation failure" in the kernel log. Programs are slow or killed.',
    kernel:
      'Packets are handled where the kernel cannot wait, so it takes free memory or none. Where it finds none, it drops with the reason `NOMEM`. `PFMEMALLOC` (6.16 and later) is a packet that came in memory of the emergency reserve, which only sockets that help to free memory may use (`sk_filter_trim_cap`, net/core/filter.c). `SKB_UCOPY_FAULT` is a packet whose data could not be copied from the memory of a program (virtual machines, zero-copy).',
    confirm:
      '`journalctl -k | grep "page allocation failure"`; `grep -E "MemFree|MemAvailable" /proc/meminfo`; `cat /proc/pressure/memory`.',
    fix: 'Find the program that takes the memory. If there is memory, but not at once: a larger `vm.min_free_kbytes`, which costs just that much.',
    normal: 'Never.',
    references: [
      'net/core/filter.c sk_filter_trim_cap (Linux 6.18)',
      'Documentation/admin-guide/sysctl/vm.rst, min_free_kbytes',
    ],
  },
});
