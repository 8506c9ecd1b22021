import type { Fix } from '../src/model/fix.ts';

/** Where damaged packets come from, the kernel does not count: somebody has to look. */
export function checksumFix(protocol: 'tcp' | 'udp'): Fix {
  return {
    id: 'find-the-sender',
    title: 'Find out whose packets are damaged',
    risk: 'none',
    cost: 'None: packets are only looked at.',
    steps: [
      {
        kind: 'manual',
        text: `See which packets are marked "cksum … incorrect" or "bad udp cksum", by the interface they come in: tcpdump -vvni INTERFACE -Q in ${protocol}. What do they have in common?`,
      },
      {
        kind: 'manual',
        text: 'One sender: its network card, driver or cable. One tunnel: its checksum offload (ethtool -k). All senders: the cable, the switch port or the card of this host (ethtool -S).',
      },
    ],
    takesEffect: 'at-once',
  };
}
