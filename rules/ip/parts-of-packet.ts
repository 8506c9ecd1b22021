import { defineBenign } from '../benign.ts';

export default defineBenign({
  id: 'parts-of-packet',
  title: 'The parts of a packet are freed with it',
  reviewed: '2026-11-22',
  text: 'Fragments that were put together again, freed one by one with their packet, delivered or not. If it was dropped, that is counted once, where it was.',
  claims: [{ location: 'skb_release_data' }],
  explain: {
    see: 'Drop events at `skb_release_data` while large pings, or UDP datagrams larger than the MTU, arrive.',
    kernel:
      'A packet put together from IP fragments keeps them as a list. When the packet is freed, also after it was delivered, `skb_release_data` frees the list with `kfree_skb_list_reason`, which is an event of `skb:kfree_skb` for each part, mostly without a reason (net/core/skbuff.c).',
    confirm:
      '`nstat -az IpReasmOKs Ip6ReasmOKs` rises; `IpReasmFails` and `IpReasmTimeout`, which are real losses, do not.',
    fix: 'None is needed.',
    normal: 'Always where fragments arrive.',
    references: ['net/core/skbuff.c skb_release_data (Linux 6.18)'],
  },
});
