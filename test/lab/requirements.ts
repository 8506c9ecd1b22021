import { access } from 'node:fs/promises';
import { execa } from 'execa';

/** Debian packages that hold the programs of the lab; scripts/lab-tools.mjs installs them. */
const PROGRAMS = [
  'ip',
  'nft',
  'iptables-nft',
  'iptables-legacy',
  'conntrack',
  'ethtool',
  'perl',
  'bpftool',
  'taskset',
  'nstat',
  'ping',
  'tshark',
  'clang',
];

/**
 * Why the lab cannot run here, or null. With WHYDROP_LAB=required (as in CI) that is an error: a skip
 * must not look like a pass.
 */
export async function labMissing(): Promise<string | null> {
  const reason = await whyNot();
  if (reason !== null && process.env['WHYDROP_LAB'] === 'required') {
    throw new Error(`the lab is required, but cannot run: ${reason}`);
  }
  if (reason !== null) process.stderr.write(`lab skipped: ${reason}\n`);
  return reason;
}

async function whyNot(): Promise<string | null> {
  if (process.getuid?.() !== 0)
    return 'needs root, to make network namespaces and real faults in them';
  const missing: string[] = [];
  for (const program of PROGRAMS) {
    const { exitCode } = await execa('which', [program], {
      reject: false,
      env: { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` },
    });
    if (exitCode !== 0) missing.push(program);
  }
  if (missing.length > 0)
    return `missing programs: ${missing.join(', ')} (node scripts/lab-tools.mjs installs them)`;
  const probe = await execa('unshare', ['--net', 'true'], { reject: false });
  if (probe.exitCode !== 0) return 'network namespaces cannot be made here';
  return access('/sys/kernel/tracing').then(
    () => null,
    () => 'the kernel has no tracefs',
  );
}
