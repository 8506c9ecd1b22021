// Loaded into the measured program (node --import): when it exits, writes the most memory it ever had in
// use to the file that WHYDROP_BENCH_PEAK names. Not getrusage(): ru_maxrss begins at what the parent had.
import { readFileSync, writeFileSync } from 'node:fs';

process.on('exit', () => {
  const peakKiB = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  writeFileSync(process.env.WHYDROP_BENCH_PEAK, peakKiB ?? '');
});
