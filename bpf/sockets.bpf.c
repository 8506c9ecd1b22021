// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Counts what sockets tell beside the drops: which socket was full, which peer packets are sent to again, whom
 * resets went to.
 *
 * Raw tracepoints, whose arguments are plain numbers: those of tcp_send_reset may be null, which the verifier of
 * tp_btf did not know before 6.13 (CVE-2024-56702). And a tracepoint that the kernel does not have costs no more
 * than a failed attach. Each program has the name of its tracepoint.
 *
 * Each CPU counts for itself: a storm (a full socket under a flood) takes no lock.
 *
 * Compiled twice, as drops.bpf.c is. src/capture/bpf/companion-layout.ts reads these structures; change both
 * together.
 */
#include "kernel.h"
#include "helpers.h"
#include "sockets.h"

char _license[] SEC("license") = "Dual MIT/GPL";

enum {
	ROWS = 1024, /* of each table */
	REST_ROWS = 512,
};

enum event {
	BUFFER_FULL = 1,
	MEMORY_LIMIT = 2,
	RETRANSMIT = 3,
	RESET_RECEIVED = 4,
	SYNACK_RETRANSMIT = 5,
	RESET_SENT = 6,
	BAD_CHECKSUM = 7,
};

/* Both ends of a connection. Addresses as in the packet, ports as numbers. */
struct ends {
	u64 local[2];
	u64 remote[2];
	u32 netns;
	u32 family; /* AF_… */
	u16 local_port;
	u16 remote_port;
};

/* By its address a socket is one socket while it lives, by its inode number afterwards. */
struct socket_key {
	u64 address;
	u32 inode; /* 0: none */
	u32 event;
};

struct socket_row {
	u64 packets;
	u64 local[2];
	u32 netns;
	u32 rcvbuf; /* bytes, of the last packet */
	u32 queued; /* bytes, the most seen */
	u16 local_port;
	u16 family;
	u16 type; /* SOCK_… */
	u16 protocol;
	u32 unused;
};

/* What is not to be told apart is 0. */
struct peer_key {
	u64 local[2];
	u64 remote[2];
	u32 netns;
	u16 local_port;
	u8 family;
	u8 event;
};

struct peer_row {
	u64 packets;
	u64 handshake; /* of packets: to open a connection */
	u64 remote[2]; /* of the first packet, like the ports */
	u16 local_port;
	u16 remote_port;
	u32 several; /* DIFFER_…: later packets had others */
};

enum { DIFFER_REMOTE = 1, DIFFER_LOCAL_PORT = 2, DIFFER_REMOTE_PORT = 4 };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, ROWS);
	__type(key, struct socket_key);
	__type(value, struct socket_row);
} full_sockets SEC(".maps");

/* Two tables, so that a port scan leaves place for the peers of connections. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, ROWS);
	__type(key, struct peer_key);
	__type(value, struct peer_row);
} peers SEC(".maps"), ports SEC(".maps");

/* Packets that found no place in a table. Netns 0 is made by the reader, and takes what finds none here. */
struct rest_key {
	u32 netns;
	u32 event;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, REST_ROWS);
	__type(key, struct rest_key);
	__type(value, u64);
} rest SEC(".maps");

/* Written by the reader: count this namespace only; 0: all. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} wanted_netns SEC(".maps");

static const struct socket_row no_socket = {};
static const struct peer_row no_peer = {};
static const u64 no_packets = 0;

enum { AF_INET = 2, AF_INET6 = 10 };
enum { IP_UDP = 17, IP_UDPLITE = 136 };
enum { TCP_SYN_SENT = 2, TCP_SYN_RECV = 3 };
enum { ENOMEM = 12 };

/* A read that faults gives 0. */
#define copy(pointer, member) \
	({ \
		typeof(pointer) from = (pointer); \
		typeof(from->member) value; \
		bpf_probe_read_kernel(&value, sizeof(value), &from->member); \
		value; \
	})

#ifdef COMPATIBLE
#define read(pointer, member) copy(pointer, member)
#else
/* The same without a call, for numbers and pointers. */
#define read(pointer, member) \
	(((typeof(pointer))bpf_rdonly_cast((pointer), kernel_type_id(typeof(*(pointer)))))->member)
#endif

static __always_inline u32 netns_of(struct sock_common___inet *common)
{
	return read(read(common, skc_net.net), ns.inum);
}

static __noinline void ends_of(struct sock_common___inet *common, struct ends *ends)
{
	ends->netns = netns_of(common);
	ends->family = read(common, skc_family);
	if (ends->family == AF_INET) {
		ends->local[0] = read(common, skc_rcv_saddr);
		ends->remote[0] = read(common, skc_daddr);
	} else if (ends->family == AF_INET6 && field_exists(common->skc_v6_daddr)) {
		struct in6_addr local = copy(common, skc_v6_rcv_saddr), remote = copy(common, skc_v6_daddr);

		ends->local[0] = local.words[0];
		ends->local[1] = local.words[1];
		ends->remote[0] = remote.words[0];
		ends->remote[1] = remote.words[1];
	} else {
		return;
	}
	ends->local_port = read(common, skc_num);
	/* A connection that is cut off has given its port back before it tells the peer (tcp_disconnect). */
	if (!ends->local_port)
		ends->local_port = __builtin_bswap16(read((struct inet_sock *)common, inet_sport));
	ends->remote_port = __builtin_bswap16(read(common, skc_dport));
}

static __always_inline struct sock_common___inet *common_of(u64 sk)
{
	return &((struct sock___inet *)sk)->__sk_common;
}

/* Of a TCP segment that came in: there may be no socket, or a listener, which knows no peer. */
static __noinline void ends_of_segment(struct sk_buff___tcp *skb, struct ends *ends)
{
	u8 *head = read(skb, head);
	u64 route = read(skb, _skb_refdst) & ~1ull;
	/* TCP clears the packet's device before it asks the socket; the route is kept longer. */
	struct net_device *dev = route ? read((struct dst_entry *)route, dev) : read(skb, dev);
	/* An IPv6 header; or one of IPv4, after which the TCP header is as long again. */
	u32 ip[10] = {};
	u16 both[2] = {};
	u64 *halves = (u64 *)ip;

	ends->netns = read(read(dev, nd_net.net), ns.inum);
	bpf_probe_read_kernel(ip, sizeof(ip), head + read(skb, network_header));
	bpf_probe_read_kernel(both, sizeof(both), head + read(skb, transport_header));
	u32 version = *(u8 *)ip >> 4;

	if (version == 4) {
		ends->family = AF_INET;
		ends->remote[0] = ip[3];
		ends->local[0] = ip[4];
	} else if (version == 6) {
		ends->family = AF_INET6;
		ends->remote[0] = halves[1];
		ends->remote[1] = halves[2];
		ends->local[0] = halves[3];
		ends->local[1] = halves[4];
	} else {
		return;
	}
	ends->remote_port = __builtin_bswap16(both[0]);
	ends->local_port = __builtin_bswap16(both[1]);
}

static __always_inline int is_unwanted(u32 netns)
{
	u32 zero = 0;
	u32 *wanted = bpf_map_lookup_elem(&wanted_netns, &zero);

	return wanted && *wanted && netns && netns != *wanted;
}

static __noinline void count_rest(u32 netns, u32 event, u64 packets)
{
	struct rest_key key = { netns, event };
	u64 *sum = bpf_map_lookup_elem(&rest, &key);

	if (!sum) {
		bpf_map_update_elem(&rest, &key, &no_packets, BPF_NOEXIST);
		sum = bpf_map_lookup_elem(&rest, &key);
	}
	if (!sum) {
		key.netns = 0;
		sum = bpf_map_lookup_elem(&rest, &key);
	}
	if (sum)
		*sum += packets;
}

/* The row of a key, made if there is place; or null. */
static __always_inline void *row_of(void *table, const void *key, const void *new_row)
{
	void *row = bpf_map_lookup_elem(table, key);

	if (likely(row))
		return row;
	bpf_map_update_elem(table, key, new_row, BPF_NOEXIST);
	return bpf_map_lookup_elem(table, key);
}

static __always_inline void count_socket(struct sock___inet *sk, enum event event)
{
	u32 netns = netns_of(&sk->__sk_common);

	if (is_unwanted(netns))
		return;
	struct socket_key key = { (u64)sk, read(read(read(read(sk, sk_socket), file), f_inode), i_ino), event };
	struct socket_row *row = row_of(&full_sockets, &key, &no_socket);

	if (!row) {
		count_rest(netns, event, 1);
		return;
	}
	if (unlikely(!row->packets)) {
		struct ends ends = {};

		ends_of(&sk->__sk_common, &ends);
		row->local[0] = ends.local[0];
		row->local[1] = ends.local[1];
		row->local_port = ends.local_port;
		row->family = ends.family;
		row->netns = netns;
		row->type = read(sk, sk_type);
		row->protocol = read(sk, sk_protocol);
	}
	u32 queued = read(sk, sk_backlog.rmem_alloc.counter);

	row->packets++;
	row->rcvbuf = read(sk, sk_rcvbuf);
	if (queued > row->queued)
		row->queued = queued;
}

static __noinline void count_peer(void *table, const struct peer_key *key, const struct ends *ends, u64 packets,
				  u64 handshake)
{
	if (is_unwanted(key->netns))
		return;
	struct peer_row *row = row_of(table, key, &no_peer);

	if (!row) {
		count_rest(key->netns, key->event, packets);
		return;
	}
	if (!row->packets) {
		row->remote[0] = ends->remote[0];
		row->remote[1] = ends->remote[1];
		row->local_port = ends->local_port;
		row->remote_port = ends->remote_port;
	} else {
		if (row->remote[0] != ends->remote[0] || row->remote[1] != ends->remote[1])
			row->several |= DIFFER_REMOTE;
		if (row->local_port != ends->local_port)
			row->several |= DIFFER_LOCAL_PORT;
		if (row->remote_port != ends->remote_port)
			row->several |= DIFFER_REMOTE_PORT;
	}
	row->packets += packets;
	row->handshake += handshake;
}

/* One row for each pair of addresses: clients take a new port for each connection. */
static __always_inline void by_peer(enum event event, const struct ends *ends, u64 packets, u64 handshake)
{
	struct peer_key key = {
		.local = { ends->local[0], ends->local[1] },
		.remote = { ends->remote[0], ends->remote[1] },
		.netns = ends->netns,
		.family = ends->family,
		.event = event,
	};

	count_peer(&peers, &key, ends, packets, handshake);
}

/* One row for each port here: strangers choose their addresses. */
static __always_inline void by_port(enum event event, const struct ends *ends)
{
	struct peer_key key = {
		.local = { ends->local[0], ends->local[1] },
		.netns = ends->netns,
		.local_port = ends->local_port,
		.family = ends->family,
		.event = event,
	};

	count_peer(&ports, &key, ends, 1, 0);
}

/* (sk, skb). Ping and other families. UDP has the next one; raw sockets do not come so far since 6.0 (raw_v4_input). */
SEC("raw_tp/sock_rcvqueue_full")
int sock_rcvqueue_full(u64 *ctx)
{
	count_socket((struct sock___inet *)ctx[0], BUFFER_FULL);
	return 0;
}

/* (rc, sk[, skb]) */
SEC("raw_tp/udp_fail_queue_rcv_skb")
int udp_fail_queue_rcv_skb(u64 *ctx)
{
	count_socket((struct sock___inet *)ctx[1], (int)ctx[0] == -ENOMEM ? BUFFER_FULL : MEMORY_LIMIT);
	return 0;
}

/* (sk, prot, allocated, kind): tcp_mem and the like. UDP comes by the one above, too. */
SEC("raw_tp/sock_exceed_buf_limit")
int sock_exceed_buf_limit(u64 *ctx)
{
	struct sock___inet *sk = (struct sock___inet *)ctx[0];
	u16 protocol = read(sk, sk_protocol);

	if (protocol != IP_UDP && protocol != IP_UDPLITE)
		count_socket(sk, MEMORY_LIMIT);
	return 0;
}

/* (sk, skb[, err]). As Tcp RetransSegs counts: segments, and since 6.17 also those that failed on this host. */
SEC("raw_tp/tcp_retransmit_skb")
int tcp_retransmit_skb(u64 *ctx)
{
	struct sk_buff___tcp *skb = (struct sk_buff___tcp *)ctx[1];
	u8 state = read(common_of(ctx[0]), skc_state);
	u64 segments = read((struct tcp_skb_cb *)&skb->cb, tcp_gso_segs);
	struct ends ends = {};

	if (!segments)
		segments = 1;
	ends_of(common_of(ctx[0]), &ends);
	by_peer(RETRANSMIT, &ends, segments, state == TCP_SYN_SENT || state == TCP_SYN_RECV ? segments : 0);
	return 0;
}

/* (sk) */
SEC("raw_tp/tcp_receive_reset")
int tcp_receive_reset(u64 *ctx)
{
	struct ends ends = {};

	ends_of(common_of(ctx[0]), &ends);
	by_peer(RESET_RECEIVED, &ends, 1, 0);
	return 0;
}

/* (sk, req): the answer to a connection request is sent again. */
SEC("raw_tp/tcp_retransmit_synack")
int tcp_retransmit_synack(u64 *ctx)
{
	struct ends ends = {};

	ends_of(&((struct request_sock *)ctx[1])->__req_common, &ends);
	by_port(SYNACK_RETRANSMIT, &ends);
	return 0;
}

/* (sk, skb[, reason]): skb is what is answered; without one the program here ended the connection. */
SEC("raw_tp/tcp_send_reset")
int tcp_send_reset(u64 *ctx)
{
	struct ends ends = {};

	if (ctx[1])
		ends_of_segment((struct sk_buff___tcp *)ctx[1], &ends);
	else
		ends_of(common_of(ctx[0]), &ends);
	by_port(RESET_SENT, &ends);
	return 0;
}

/* (skb) */
SEC("raw_tp/tcp_bad_csum")
int tcp_bad_csum(u64 *ctx)
{
	struct ends ends = {};

	ends_of_segment((struct sk_buff___tcp *)ctx[0], &ends);
	by_port(BAD_CHECKSUM, &ends);
	return 0;
}
