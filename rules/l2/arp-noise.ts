import { EtherType } from '../../src/model/drops.ts';
import { defineBenign, unspecified } from '../benign.ts';

export default defineBenign({
  id: 'arp-noise',
  title: 'ARP messages of others',
  reviewed: '2026-11-22',
  text: 'ARP messages that are for other hosts, or were dealt with already.',
  claims: unspecified({
    location: ['arp_process', 'arp_rcv', 'parp_redo'],
    protocol: [EtherType.ARP],
  }),
  explain: {
    see: 'Drop events of protocol 0x0806. Neighbours are reached.',
    kernel:
      'ARP requests go to every host of a network. `arp_process` (net/ipv4/arp.c) frees those that are not for this host; old kernels free every ARP message there, after they have dealt with it.',
    confirm: '`tcpdump -ni any arp`; `ip neigh` lists neighbours that do not answer as FAILED.',
    fix: 'None is needed.',
    normal: 'Always.',
    references: ['net/ipv4/arp.c arp_process (Linux 6.18)'],
  },
});
