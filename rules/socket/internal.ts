import { EtherType } from '../../src/model/drops.ts';
import { defineBenign, unspecified } from '../benign.ts';

/** Messages of AF_UNIX, netlink and vsock, not packets: they carry no EtherType. */
const LOCATIONS = [
  'unix_release_sock',
  'unix_dgram_connect',
  'unix_dgram_sendmsg',
  'unix_dgram_disconnected',
  'unix_sock_destructor',
  'unix_stream_connect',
  'unix_stream_sendmsg',
  'unix_stream_read_generic',
  'unix_stream_read_skb',
  'manage_oob',
  'netlink_broadcast',
  'netlink_broadcast_filtered',
  'do_one_broadcast',
  'netlink_unicast',
  'netlink_attachskb',
  'netlink_release',
  'netlink_sendskb',
  'netlink_sock_destruct',
  'nfnetlink_rcv_batch',
  'nlmsg_notify',
  'rtnetlink_send',
  'rtnl_notify',
  'audit_log_end',
  'uevent_net_broadcast_tagged',
  'virtio_transport_recv_pkt',
  'virtio_transport_free_pkt',
  'vsock_queue_rcv_skb',
];
/** They look a route up with an empty packet made for it, which is freed here when there is none. */
const ROUTE_LOOKUPS = ['inet_rtm_getroute', 'inet6_rtm_getroute'];

export default defineBenign({
  id: 'internal',
  title: 'Messages inside the machine are discarded',
  reviewed: '2026-11-22',
  text: 'Messages of local sockets, netlink and vsock (programs, kernel and hypervisor among themselves): no packet of a network.',
  claims: [
    ...unspecified({ location: LOCATIONS, protocol: [EtherType.None] }),
    ...unspecified({ location: ROUTE_LOOKUPS }),
  ],
  explain: {
    see: 'Drop events with protocol 0, or at `inet_rtm_getroute`.',
    kernel:
      'The kernel carries messages of AF_UNIX, netlink and vsock in the same buffers as packets, so a message that nobody takes is freed the same way: `unix_release_sock` (net/unix/af_unix.c), `netlink_broadcast_filtered` (net/netlink/af_netlink.c), `virtio_transport_recv_pkt` (net/vmw_vsock/virtio_transport_common.c). A program that asks for a route (`ip route get`, a routing daemon) has the kernel make an empty packet, freed in `inet_rtm_getroute` (net/ipv4/route.c) when there is no such route.',
    confirm:
      '`cat /proc/net/netlink` has a column of drops: there a program that watches the kernel was too slow.',
    fix: 'None is needed for the network. A program that loses netlink messages needs a larger receive buffer.',
    normal: 'Always.',
    references: [
      'net/unix/af_unix.c (Linux 6.18)',
      'net/vmw_vsock/virtio_transport_common.c virtio_transport_recv_pkt (Linux 6.18)',
    ],
  },
});
