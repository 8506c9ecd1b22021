/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * What sockets.bpf.c looks into beside kernel.h. libbpf takes `sock___inet` for `sock`: more members of the
 * same kernel type (CO-RE flavours).
 */
#pragma once

enum { BPF_MAP_TYPE_PERCPU_HASH = 5 };

/* Only ever read as a whole. */
struct in6_addr {
	u64 words[2];
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct sock_common___inet {
	u32 skc_daddr; /* big endian, like the next one */
	u32 skc_rcv_saddr;
	u16 skc_dport; /* big endian */
	u16 skc_num;
	u16 skc_family;
	u8 skc_state;
	struct possible_net skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct sock___inet {
	struct sock_common___inet __sk_common;
	struct {
		struct {
			int counter;
		} rmem_alloc;
	} sk_backlog;
	int sk_rcvbuf;
	u16 sk_protocol;
	u16 sk_type;
	struct socket *sk_socket;
};

struct inet_sock {
	u16 inet_sport; /* big endian */
};

struct request_sock {
	struct sock_common___inet __req_common;
};

/* Kept in sk_buff.cb while TCP has the packet. */
struct tcp_skb_cb {
	u16 tcp_gso_segs;
};

struct sk_buff___tcp {
	struct net_device *dev;
	unsigned long _skb_refdst;
	u16 network_header;
	u16 transport_header;
	unsigned char *head;
	char cb[48];
};

#pragma clang attribute pop
