import { defineBenign, unspecified } from '../benign.ts';

export default defineBenign({
  id: 'device-removed',
  title: 'An interface is removed while packets wait',
  reviewed: '2026-11-22',
  text: 'Packets that waited in a queue when their interface was removed, as with a container that stops.',
  claims: unspecified({
    location: ['flush_backlog', 'dev_deactivate_many', 'veth_napi_del_range', 'veth_dellink'],
  }),
  explain: {
    see: 'A few drop events when a container, a virtual machine or a VPN stops.',
    kernel:
      'When a device goes away, packets of it that still wait in the input queues of the CPUs are freed: `flush_backlog` (net/core/dev.c).',
    confirm: '`ip monitor link` shows interfaces come and go.',
    fix: 'None is needed.',
    normal: 'Always when an interface is removed.',
    references: ['net/core/dev.c flush_backlog (Linux 6.18)'],
  },
});
