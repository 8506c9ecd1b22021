import { readFileSync } from 'node:fs';
import type { CommandOutput } from '../../model/host.ts';
import type { Reading } from '../../model/reading.ts';
import type { Capability } from '../../model/self-check.ts';
import { runCommand } from '../command.ts';
import { errnoOf } from '../errno.ts';

/** A program that checks run, each where it is. */
interface Tool {
  readonly id: string;
  /** The same by several names; the first that is there. */
  readonly commands: readonly (readonly [string, ...string[]])[];
  readonly packages: { readonly debian: string; readonly redHat: string };
  readonly without: string;
  /** Why this host can do without; null: it cannot. */
  readonly notNeeded?: () => string | null;
}

const iproute = { debian: 'iproute2', redHat: 'iproute' };

const tools: readonly Tool[] = [
  {
    id: 'ip',
    commands: [['ip', '-V']],
    packages: iproute,
    without: 'kinds of interfaces, XDP programs and frames for other hosts are not seen',
  },
  {
    id: 'ss',
    commands: [['ss', '-V']],
    packages: iproute,
    without: 'sockets whose buffer is full, and their processes, cannot be named',
  },
  {
    id: 'tc',
    commands: [['tc', '-V']],
    packages: { debian: 'iproute2', redHat: 'iproute-tc' },
    without: 'drops of queueing disciplines are not seen',
  },
  {
    id: 'nft',
    commands: [['nft', '--version']],
    packages: { debian: 'nftables', redHat: 'nftables' },
    without: 'firewall rules that drop cannot be named',
  },
  {
    id: 'iptables',
    commands: [
      ['iptables-legacy-save', '-V'],
      ['iptables-save', '-V'],
    ],
    packages: { debian: 'iptables', redHat: 'iptables' },
    without: 'rules of iptables that drop cannot be named',
    notNeeded: () =>
      ['/proc/net/ip_tables_names', '/proc/net/ip6_tables_names'].every(isEmpty)
        ? 'there are no tables of legacy iptables; nft shows all others'
        : null,
  },
  {
    id: 'ethtool',
    commands: [['ethtool', '--version']],
    packages: { debian: 'ethtool', redHat: 'ethtool' },
    without: 'losses in network cards (receive rings) cannot be told',
  },
  {
    id: 'conntrack',
    commands: [['conntrack', '--version']],
    packages: { debian: 'conntrack', redHat: 'conntrack-tools' },
    without: 'a full connection tracking table cannot be proved',
    notNeeded: () => {
      if (!isEmpty('/proc/net/stat/nf_conntrack')) return 'the kernel shows its counters';
      return isEmpty('/proc/sys/net/netfilter/nf_conntrack_count')
        ? 'connection tracking is not in use'
        : null;
    },
  },
];

export function toolCapabilities(): Promise<readonly Capability[]> {
  return Promise.all(tools.map(capabilityOf));
}

async function capabilityOf({
  id,
  commands,
  packages,
  without,
  notNeeded,
}: Tool): Promise<Capability> {
  const tool = { id, group: 'tools', title: id } as const;
  let complaint = notInstalled;
  for (const command of commands) {
    const output = await runCommand(command);
    if (output.status === 'absent') continue;
    const answer = lineOf(output);
    if (output.status === 'ok' && output.value.exitCode === 0) {
      return { ...tool, status: 'ok', found: answer };
    }
    complaint = `it does not run: ${answer}`;
  }
  const why = notNeeded?.() ?? null;
  if (why !== null) return { ...tool, status: 'not-needed', found: `${complaint}: ${why}` };
  if (complaint !== notInstalled) return { ...tool, status: 'missing', found: complaint, without };
  const help = `apt install ${packages.debian} (Debian, Ubuntu), dnf install ${packages.redHat} (Red Hat, Fedora)`;
  return { ...tool, status: 'missing', found: complaint, without, help };
}

const notInstalled = 'not installed';

/** The first line it printed, as a version or a complaint. */
function lineOf(output: Reading<CommandOutput>): string {
  if (output.status !== 'ok') return output.reason;
  const { stdout, stderr } = output.value;
  return (stdout.trim() || stderr.trim()).split('\n', 1)[0]?.slice(0, 80) ?? '';
}

/** Not there, or nothing in it. What is not for us to read may hold anything. */
function isEmpty(path: string): boolean {
  try {
    return readFileSync(path, 'utf8') === '';
  } catch (error) {
    return errnoOf(error) === 'ENOENT';
  }
}
