// Loaded into the measured program (node --import): when it exits, writes what it used to the file that
// WHYDROP_BENCH_USAGE names: the most memory it ever had in use (not of getrusage(): ru_maxrss begins at what
// the parent had), and the CPU time of itself and of the programs it ran.
import { readFileSync, writeFileSync } from 'node:fs';

process.on('exit', () => {
  const peakKiB = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  // After the name, which may contain anything: state is field 3, utime, stime, cutime and cstime are
  // fields 14 to 17, in USER_HZ, which is 100 for every program (proc_pid_stat(5)).
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ').at(-1).split(' ');
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  const usage = { peakMB: (Number(peakKiB) * 1024) / 1e6, cpuMs: ticks * 10 };
  writeFileSync(process.env.WHYDROP_BENCH_USAGE, JSON.stringify(usage));
});
