/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * The few kernel types that drops.bpf.c looks into. Only names and types of members matter: libbpf
 * finds where the running kernel keeps each of them (CO-RE), so most members are left out.
 */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
	u32 inum;
};

struct net {
	struct ns_common ns;
};

struct possible_net {
	struct net *net;
};

struct net_device {
	int ifindex;
	u16 type;
	struct possible_net nd_net;
	char name[16];
};

struct inode {
	unsigned long i_ino;
};

struct file {
	struct inode *f_inode;
};

struct socket {
	struct file *file;
};

struct sock_common {
	u8 skc_state;
	struct possible_net skc_net;
};

struct sock {
	struct sock_common __sk_common;
	struct socket *sk_socket;
};

struct iphdr {
	u8 protocol;
};

struct dst_entry {
	struct net_device *dev;
};

enum skb_drop_reason { SKB_NOT_DROPPED_YET };

/* The record of the trace event: it tells which arguments the tracepoint has. */
struct trace_event_raw_kfree_skb {
	enum skb_drop_reason reason; /* since 5.17 */
	void *rx_sk; /* since 6.11 */
};

struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
	unsigned long _skb_refdst; /* address of a dst_entry, and a flag in bit 0 */
	u32 len;
	int skb_iif;
	u16 vlan_tci;
	u8 vlan_present : 1; /* until 6.1; since then a tag is present when it is not 0 */
	u16 protocol;	     /* big endian */
	u16 network_header;
	u16 mac_header;
	u32 tail; /* on 64-bit machines an offset from head */
	unsigned char *head;
	unsigned char *data;
};

#pragma clang attribute pop
