// Installs the programs the lab needs, where that may be done: root on a Debian-like system. Elsewhere it
// says so and ends well: the lab's tests then skip, with the reason. Part of `npm test`.
import { spawnSync } from 'node:child_process';

const PROGRAMS = {
  ip: 'iproute2',
  nft: 'nftables',
  'iptables-legacy': 'iptables',
  conntrack: 'conntrack',
  ethtool: 'ethtool',
  ping: 'iputils-ping',
  perl: 'perl',
  tshark: 'tshark',
  bpftool: 'bpftool',
  clang: 'clang',
};

process.env.PATH += ':/usr/sbin:/sbin';
const succeeds = (program, ...args) => spawnSync(program, args, { stdio: 'ignore' }).status === 0;
const missing = Object.entries(PROGRAMS).filter(([program]) => !succeeds('which', program));

if (missing.length > 0) {
  const packages = [...new Set(missing.map(([, name]) => name))];
  if (process.getuid() !== 0 || !succeeds('which', 'apt-get')) {
    console.log(`lab: not installed: ${packages.join(', ')} (needs root and apt)`);
  } else {
    console.log(`lab: installing ${packages.join(', ')}`);
    const apt = (...args) =>
      spawnSync('apt-get', ['-qq', '-o', 'Dpkg::Use-Pty=0', ...args], {
        stdio: ['ignore', 'ignore', 'inherit'],
        env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      });
    apt('update');
    apt('install', '--yes', '--no-install-recommends', ...packages);
  }
}
