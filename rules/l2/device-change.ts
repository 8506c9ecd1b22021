import { EtherType } from '../../src/model/drops.ts';
import { defineBenign, unspecified } from '../benign.ts';

/** Their queues are emptied. */
const REMOVED = [
  'flush_backlog',
  'dev_deactivate_many',
  'veth_napi_del_range',
  'veth_dellink',
  'tun_queue_purge',
];
/** napi_get_frags_check() allocates a buffer as a test, and frees it. */
const CREATED = [
  'netif_napi_add_weight_locked',
  'netif_napi_add_weight',
  'netif_napi_add',
  'napi_get_frags_check',
];

export default defineBenign({
  id: 'device-change',
  title: 'Interfaces are created and removed',
  reviewed: '2026-11-22',
  text: 'Buffers freed when an interface is created, and packets that still waited when one was removed, as with a container that stops.',
  claims: [
    ...unspecified({ location: REMOVED }),
    ...unspecified({ location: CREATED, protocol: [EtherType.None] }),
  ],
  explain: {
    see: 'A few drop events when a container, a virtual machine or a VPN starts or stops.',
    kernel:
      'When a device goes away, packets of it that still wait in the input queues of the CPUs are freed: `flush_backlog`; and what a program has not read from its tun device when it ends: `tun_queue_purge` (drivers/net/tun.c). When one is created, `napi_get_frags_check` allocates an empty buffer and frees it again, for each receive queue (net/core/dev.c).',
    confirm: '`ip monitor link` shows interfaces come and go.',
    fix: 'None is needed.',
    normal: 'Always when interfaces are created and removed.',
    references: ['net/core/dev.c flush_backlog, netif_napi_add_weight_locked (Linux 6.18)'],
  },
});
