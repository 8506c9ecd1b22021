// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Counts every drop of the machine where it happens: exact totals for each kind of drop, the busiest
 * flows of each kind, a few packets and one stack for each place.
 *
 * A drop storm is when this runs most, so the usual drop, one of a kind seen before, calls no function
 * (the verifier replaces the calls for maps and CPU number) and takes no lock: each CPU has a table of its own.
 *
 * Compiled twice. drops.bpf.o is for kernels since 6.2; drops-compatible.bpf.o, with -DCOMPATIBLE, for older ones.
 * src/capture/bpf/layout.ts reads these structures; change both together.
 *
 * 64-bit little-endian machines only: sk_buff.tail is an offset there, and the object is of one byte order.
 */
#include "kernel.h"
#include "helpers.h"

/* The kernel lets only programs under a GPL-compatible licence read its memory. */
char _license[] SEC("license") = "Dual MIT/GPL";

/* Samples taken, or refused because the pool was used up. */
u32 samples_wanted = 0;

enum {
	COUNTS = 2048, /* kinds of drop a CPU can tell apart */
	COUNTS_RESERVED = 128, /* of them, for kinds that were folded together */
	PROBES = 16,
	FLOWS = 2048, /* flows a CPU remembers */
	WAYS = 4,
	FLOWS_EXACT = 4096, /* so many packets of a kind have their flow looked at, each one … */
	FLOWS_SKIP_BITS = 6, /* … then one in 32 or so: 1 to 64, at random … */
	FLOWS_STORM = 65536, /* … and from so many on … */
	FLOWS_STORM_SKIP_BITS = 8, /* … one in 128 or so */
	SITES = 512,
	FRAMES = 32,
	SAMPLES = 512,
	SAMPLES_PER_CPU = 4, /* of a kind of drop */
	SAMPLES_PER_SITE = 16,
	SAMPLE_BYTES = 128,
};

/* One kind of drop. A cache line; what identifies it comes first, as three words. */
struct count {
	u64 location;
	u32 reason;
	u32 ifindex; /* 0: unknown */
	u32 netns; /* inode number of the namespace; 0: unknown */
	u16 protocol; /* EtherType */
	u8 ip_protocol; /* 0: none, or unknown */
	u8 state; /* COUNT_… */
	u64 packets;
	u64 edge_packets; /* of packets */
	u64 flows_looked_at; /* packets when a flow was last looked at */
	u64 flows_due; /* packets when a flow is to be looked at again */
	u64 flowless; /* of packets: had no addresses, or their flow gave way to another */
};

enum { COUNT_FREE = 0, COUNT_EXACT = 1, COUNT_FOLDED = 2 /* of several kinds: only reason and location are known */ };

/* A count or a flow is compared as words: what identifies it comes first. */
static __always_inline u64 *words_of(void *entry)
{
	return entry;
}

struct flow_key {
	/* IP addresses; those inside an ARP packet; MAC addresses where there is neither */
	u64 source[2];
	u64 destination[2];
	u16 source_port; /* big endian, like the next one; ICMP: type and code in its two bytes, and a 1 in the next; ARP: operation */
	u16 destination_port;
	u16 vlan; /* id; 0: no tag */
	u16 count; /* index into counts, with FLOW_USED */
};

/* One flow of one kind of drop. A cache line. */
struct flow {
	struct flow_key key;
	u64 packets;
	u64 pressure; /* packets of other flows that wanted this place */
	u64 socket; /* inode number; 0: none, or unknown */
};

enum { FLOW_USED = 0x8000 };

struct table {
	/* Of the drop at hand; not on the stack, where the verifier would follow each value it may have. */
	u64 header[6]; /* first bytes of the header that tells the flow */
	u64 skb; /* addresses of the skb, … */
	u64 sk; /* … its socket, … */
	u64 dev; /* … and the device whose name tells it; 0: none */
	struct flow_key current;

	u64 random;
	u64 counts_used;
	u64 overflow; /* drops that found no place in counts */
	u64 edge_overflow;
	u64 unselected; /* drops of other namespaces or interfaces */
	u64 unused[5]; /* to the end of a cache line */
	struct count counts[COUNTS];
	struct flow flows[FLOWS];
	char names[COUNTS][16]; /* of the interfaces, since they may be gone when we are asked */
};

/*
 * One table for each CPU, in a plain array: unlike a per-CPU map, it is looked up without a call. Only
 * for a map that could be mapped does the kernel start the values on a page, and by that each count on a cache line.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* the number of possible CPUs, set before load */
	__type(key, u32);
	__type(value, struct table);
} tables SEC(".maps");

/* Written by the reader. */
struct settings {
	u32 window_is_open; /* a drop outside of the window is an edge packet */
	u32 selects; /* whether one of the next two is set */
	u32 netns; /* 0: all of them; drops whose namespace is unknown always count */
	u32 ifindex; /* likewise */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct settings);
} settings_map SEC(".maps");

struct site_key {
	u64 location;
	u64 reason;
};

struct site {
	u64 stack[FRAMES];
	int stack_bytes; /* negative: an error */
	u32 samples;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SITES);
	__type(key, struct site_key);
	__type(value, struct site);
} sites SEC(".maps");

struct sample {
	u64 time_ns; /* CLOCK_MONOTONIC; 0: not written yet */
	u64 location;
	u32 reason;
	u32 ifindex;
	u32 netns;
	u32 length; /* of the whole packet, from where bytes start */
	u16 protocol;
	u16 vlan; /* id of a tag that is not in bytes; 0: none */
	u16 captured; /* of bytes */
	u8 ip_protocol;
	u8 link; /* SAMPLE_… */
	u8 bytes[SAMPLE_BYTES];
};

enum { SAMPLE_NETWORK = 0 /* starts at the network header */, SAMPLE_ETHERNET = 1 };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SAMPLES);
	__type(key, u32);
	__type(value, struct sample);
} samples SEC(".maps");

/* EtherTypes as a little-endian machine reads them, and IP protocols. */
enum { ETH_IPV4 = 0x0008, ETH_IPV6 = 0xdd86, ETH_ARP = 0x0608 };
enum { IP_ICMP = 1, IP_TCP = 6, IP_UDP = 17, IP_DCCP = 33, IP_ICMPV6 = 58, IP_SCTP = 132, IP_UDPLITE = 136 };
enum { TCP_TIME_WAIT = 6, TCP_NEW_SYN_RECV = 12 };

/* Reads as plain memory what the verifier knows no type of, or where that spares it work. */
#define read(pointer, member) \
	({ \
		typeof(pointer) from = (pointer); \
		typeof(from->member) value = 0; \
		bpf_probe_read_kernel(&value, sizeof(value), &from->member); \
		value; \
	})

/*
 * While an skb waits in a queue of a socket, other things are stored where `dev` is (a tree node of
 * TCP, lengths of UDP), and they are left there when it is freed. A faulting read gives 0; beyond that, inode
 * numbers of namespaces tell: from 0xeffffff9 (the initial one since 6.18), the lowest free one first.
 */
static __always_inline u32 plausible(u32 inum)
{
	return inum >= 0xeffffff0 && inum < 0xf8000000 ? inum : 0;
}

static __always_inline u32 netns_number(struct net *net)
{
	return plausible(net->ns.inum);
}

/* The first four bytes behind the IP header, as far as they tell a flow. */
static __always_inline u32 transport_word(u8 protocol, u32 word)
{
	u64 below_64 = 1ull << IP_TCP | 1ull << IP_UDP | 1ull << IP_DCCP;

	if (protocol == IP_ICMP || protocol == IP_ICMPV6)
		return (word & 0xffff) | 1 << 16;
	return (protocol < 64 && below_64 >> protocol & 1) || protocol == IP_SCTP || protocol == IP_UDPLITE ? word : 0;
}

static __always_inline u16 vlan_id(struct sk_buff *skb)
{
	if (field_exists(skb->vlan_present)) {
		u64 bits = 0;

		bpf_probe_read_kernel(&bits, 1, (void *)skb + __builtin_preserve_field_info(skb->vlan_present, FIELD_BYTE_OFFSET));
		bits <<= __builtin_preserve_field_info(skb->vlan_present, FIELD_LSHIFT_U64);
		bits >>= __builtin_preserve_field_info(skb->vlan_present, FIELD_RSHIFT_U64);
		if (!bits)
			return 0;
	}
	return read(skb, vlan_tci) & 0xfff;
}

static const struct site new_site = {};

/*
 * Keeps the stack of the first drop of a reason at a place.
 *
 * @return 1 while packets are wanted from there
 */
static __noinline int visit_site(u64 *ctx, struct count *count)
{
	struct site_key key = { count->location, count->reason };
	struct site *site = bpf_map_lookup_elem(&sites, &key);

	if (!site) {
		long error = bpf_map_update_elem(&sites, &key, &new_site, BPF_NOEXIST);

		site = bpf_map_lookup_elem(&sites, &key);
		if (!site)
			return 0;
		/* Only who made it fills it. */
		if (!error)
			site->stack_bytes = bpf_get_stack(ctx, site->stack, sizeof(site->stack), 0);
	}
	if (site->samples >= SAMPLES_PER_SITE)
		return 0;
	__sync_fetch_and_add(&site->samples, 1);
	return 1;
}

/*
 * Keeps the packet at hand.
 *
 * Not static, like the other functions of rare paths: the verifier checks such a function once, and
 * not in every state it may be called in.
 */
__noinline int take_sample(struct table *table, u32 count_index)
{
	if (!table)
		return 0;
	struct count *count = &table->counts[count_index & (COUNTS - 1)];
	struct sk_buff *skb = (struct sk_buff *)table->skb;
	u32 index = __sync_fetch_and_add(&samples_wanted, 1);
	struct sample *sample = bpf_map_lookup_elem(&samples, &index);

	if (!sample)
		return 0;

	u8 *head = read(skb, head);
	u32 data = (u64)read(skb, data) - (u64)head;
	u32 tail = read(skb, tail);
	u32 mac = read(skb, mac_header);
	u32 start = read(skb, network_header);

	if (!start)
		start = data;
	/* An Ethernet header, with up to two tags; ~0 until it is set. */
	if (mac + 14 <= start && mac + 22 >= start) {
		start = mac;
		sample->link = SAMPLE_ETHERNET;
	}
	sample->location = count->location;
	sample->reason = count->reason;
	sample->ifindex = count->ifindex;
	sample->netns = count->netns;
	sample->protocol = count->protocol;
	sample->ip_protocol = count->ip_protocol;
	sample->vlan = table->current.vlan;
	sample->length = read(skb, len) + data - start;

	u32 captured = tail > start ? tail - start : 0;
	if (captured > SAMPLE_BYTES)
		captured = SAMPLE_BYTES;
	if (!bpf_probe_read_kernel(sample->bytes, captured, head + start))
		sample->captured = captured;
	sample->time_ns = bpf_ktime_get_ns();
	return 0;
}

/*
 * Where the packet at hand belongs when it has no device.
 *
 * @return the namespace, and the number of an interface in the upper half; either may be 0
 */
__noinline u64 place_without_device(struct table *table)
{
	if (!table)
		return 0;
	struct sk_buff *skb = (struct sk_buff *)table->skb;
	struct sock *sk = (struct sock *)table->sk;
	u32 netns = plausible(read(read(sk, __sk_common.skc_net.net), ns.inum));
	/* Sockets detach what they receive from its device, but not from its number. */
	u32 ifindex = read(skb, skb_iif);
	u64 route = read(skb, _skb_refdst) & ~1ull;

	/* A packet on its way out has a route, and the route a device, before it has the device itself. */
	if (!ifindex && route) {
		struct net_device *dev = read((struct dst_entry *)route, dev);
		u32 of_route = plausible(read(read(dev, nd_net.net), ns.inum));

		if (of_route) {
			netns = of_route;
			ifindex = read(dev, ifindex);
			table->dev = (u64)dev;
		}
	}
	return netns | (u64)ifindex << 32;
}

/* Inode number of the socket at hand, by which /proc/PID/fd names it; 0: it has none. */
__noinline u64 socket_number(struct table *table)
{
	if (!table)
		return 0;
	struct sock *sk = (struct sock *)table->sk;
	u8 state = read(sk, __sk_common.skc_state);

	/* Sockets of these states are smaller than struct sock. */
	if (state == TCP_TIME_WAIT || state == TCP_NEW_SYN_RECV)
		return 0;
	return read(read(read(read(sk, sk_socket), file), f_inode), i_ino);
}

/* The upper bits of the sum, where everything has mixed. */
static __always_inline u32 hash(u64 a, u64 b, u64 c)
{
	return (a * 0x9e3779b97f4a7c15 + b * 0xbf58476d1ce4e5b9 + c * 0x94d049bb133111eb) >> 40;
}

/* Index of the count with these three words, made if there is place and limit allows; or -1. */
static __always_inline int probe(struct table *table, u64 first, u64 second, u64 third, u64 limit)
{
	u32 home = hash(first, second, third);

#pragma clang loop unroll(disable)
	for (u32 step = 0; step < PROBES; step++) {
		u32 index = (home + step) & (COUNTS - 1);
		u64 *words = words_of(&table->counts[index]);

		if (words[2] == third && words[0] == first && words[1] == second)
			return index;
		if (words[2] == 0) {
			if (table->counts_used >= limit)
				return -1;
			table->counts_used++;
			words[0] = first;
			words[1] = second;
			words[2] = third;
			return index;
		}
	}
	return -1;
}

/*
 * The count of a kind that is new, or does not sit in its first place. Index, or -1. Strangers choose
 * EtherType and protocol; when they use the table up, kinds are told apart by reason and location only.
 */
__noinline int find_count(struct table *table, u64 first, u64 second, u64 third)
{
	if (!table)
		return -1;
	int index = probe(table, first, second, third, COUNTS - COUNTS_RESERVED);

	if (index >= 0)
		return index;
	index = probe(table, first, second & 0xffffffff, (u64)COUNT_FOLDED << 56, COUNTS);
	if (index >= 0)
		return index;
	return -1;
}

/*
 * Adds packets to a flow. A new flow takes a free place, or after as many of its and its like's packets
 * the place of the smallest one: those with many packets stay, whatever floods by. Packets whose
 * flow is not kept are counted as flowless in their count.
 *
 * @return index of a flow that is new here, or -1
 */
__noinline int count_flow(struct table *table, u64 packets)
{
	if (!table)
		return -1;
	u64 *want = words_of(&table->current);
	u32 bucket = hash(want[0] ^ (want[1] << 1), want[2] ^ (want[3] << 1), want[4]) & (FLOWS - WAYS);
	u32 smallest = bucket;
	u64 least = ~0ull;

#pragma clang loop unroll(disable)
	for (u32 way = 0; way < WAYS; way++) {
		u32 index = (bucket + way) & (FLOWS - 1);
		struct flow *flow = &table->flows[index];
		u64 *have = words_of(flow);

		if (have[4] == want[4] && have[0] == want[0] && have[2] == want[2] && have[1] == want[1] &&
		    have[3] == want[3]) {
			flow->packets += packets;
			return -1;
		}
		if (flow->packets < least) {
			least = flow->packets;
			smallest = index;
		}
	}

	struct flow *flow = &table->flows[smallest & (FLOWS - 1)];
	if (least) {
		flow->pressure += packets;
		if (flow->pressure < least) {
			table->counts[table->current.count & (COUNTS - 1)].flowless += packets;
			return -1;
		}
		table->counts[flow->key.count & (COUNTS - 1)].flowless += least;
	}
	flow->key = table->current;
	flow->packets = packets;
	flow->pressure = 0;
	flow->socket = 0;
	return smallest & (FLOWS - 1);
}

/*
 * The first bytes of a packet's header. As memory like any other where the kernel takes a number for a pointer it
 * may read (since 6.2): the call of the helper would be a third of all that a drop costs here.
 */
static __always_inline u8 *header_bytes(struct table *table, u8 *header)
{
#ifdef COMPATIBLE
	u8 *bytes = (u8 *)table->header;

	bpf_probe_read_kernel(bytes, 12, header);
	return bytes;
#else
	return bpf_rdonly_cast(header, kernel_type_id(struct iphdr));
#endif
}

/* @return the protocol in the packet's IP header; 0 without one */
static __always_inline u8 read_ip_protocol(struct table *table, struct sk_buff *skb, u16 protocol)
{
	u8 *head = skb->head;
	u32 network = skb->network_header;

	/* Not set before the stack takes the packet: then that is where its data begins. */
	if (unlikely(!network))
		network = (u64)skb->data - (u64)head;
	head += network;
	if (likely(protocol == ETH_IPV4)) {
		u8 *ip = header_bytes(table, head);

		if (likely(network + 20 <= skb->tail && ip[0] >> 4 == 4))
			return ip[9];
	} else if (protocol == ETH_IPV6 && network + 40 <= skb->tail) {
		u8 *ip = header_bytes(table, head);
		u8 next = ip[6];

		if (ip[0] >> 4 != 6)
			return 0;
		/* One extension header is followed: hop-by-hop (as in MLD), routing, fragment, destination. */
		return next == 0 || next == 43 || next == 44 || next == 60 ? header_bytes(table, head + 40)[0] : next;
	}
	return 0;
}

/* Fills table->current for the packet at hand, which is of this kind. */
static __always_inline void read_flow(struct table *table, struct count *count)
{
	struct sk_buff *skb = (struct sk_buff *)table->skb;
	u64 *key = words_of(&table->current);
	u8 *head = read(skb, head);
	u32 tail = read(skb, tail);
	u32 network = read(skb, network_header);
	u32 transport = 0;

	if (!network)
		network = (u64)read(skb, data) - (u64)head;
	key[0] = key[1] = key[2] = key[3] = 0;
	if (count->protocol == 0x0800) {
		u32 *ip = (u32 *)table->header;

		if (network + 20 <= tail && !bpf_probe_read_kernel(ip, 24, head + network) && (ip[0] & 0xf0) == 0x40) {
			key[0] = ip[3];
			key[2] = ip[4];
			/* Not of a later fragment; and what lies behind IP options is not worth another read. */
			if (!(ip[1] & 0xff1f0000) && (ip[0] & 0x0f) == 5 && network + 24 <= tail)
				transport = transport_word(count->ip_protocol, ip[5]);
		}
	} else if (count->protocol == 0x86dd) {
		u64 *ip = table->header;

		if (network + 40 <= tail && !bpf_probe_read_kernel(ip, 44, head + network) && (ip[0] & 0xf0) == 0x60) {
			key[0] = ip[1];
			key[1] = ip[2];
			key[2] = ip[3];
			key[3] = ip[4];
			/* Ports follow only if no extension header does. */
			if ((u8)(ip[0] >> 48) == count->ip_protocol && network + 44 <= tail)
				transport = transport_word(count->ip_protocol, ip[5]);
		}
	} else if (count->protocol == 0x0806) {
		u16 *arp = (u16 *)table->header;

		/* Hardware addresses of 6 bytes, protocol addresses of 4. */
		if (network + 28 <= tail && !bpf_probe_read_kernel(arp, 28, head + network) && arp[2] == 0x0406) {
			transport = arp[3];
			key[0] = arp[7] | (u32)arp[8] << 16;
			key[2] = arp[12] | (u32)arp[13] << 16;
		}
	} else if (count->protocol) {
		u64 *ethernet = table->header;
		u32 mac = read(skb, mac_header);

		/* ~0 until it is set. */
		if (mac != 0xffff && mac + 14 <= tail && !bpf_probe_read_kernel(ethernet, 12, head + mac)) {
			key[0] = ethernet[0] >> 48 | (u64)(u32)ethernet[1] << 16;
			key[2] = ethernet[0] & 0xffffffffffff;
		}
	}
	key[4] = transport | (u64)vlan_id(skb) << 32;
}

/* Adds the packet at hand to its flow, along with those of its kind since the last one that was looked at. */
__noinline int look_at_flow(struct table *table, u32 index)
{
	if (!table)
		return 0;
	index &= COUNTS - 1;
	struct count *count = &table->counts[index];
	u64 packets = count->packets;
	u64 weight = packets - count->flows_looked_at;

	count->flows_looked_at = packets;
	count->flows_due = packets + 1;
	if (packets >= FLOWS_EXACT) {
		/* At random, or flows that take turns would not be seen by turns. */
		table->random = table->random * 6364136223846793005ull + 1442695040888963407ull;
		count->flows_due += table->random >> (64 - (packets < FLOWS_STORM ? FLOWS_SKIP_BITS : FLOWS_STORM_SKIP_BITS));
	}
	read_flow(table, count);
	table->current.count = index | FLOW_USED;

	int flow = count_flow(table, weight);
	if (flow >= 0 && table->sk)
		table->flows[flow & (FLOWS - 1)].socket = socket_number(table);
	return 0;
}

/*
 * The arguments grew: `reason` came in 5.17, `rx_sk` in 6.11, and distributions carry both back. The
 * verifier does not look at a branch that the running kernel rules out.
 */
SEC("tp_btf/kfree_skb")
int whydrop(u64 *ctx)
{
	struct trace_event_raw_kfree_skb *event = 0;
	struct sk_buff *skb = (struct sk_buff *)ctx[0];
	u64 location = ctx[1], reason = 0, rx_sk = 0;

	if (field_exists(event->reason))
		reason = ctx[2];
	if (field_exists(event->rx_sk))
		rx_sk = ctx[3];

	u32 cpu = bpf_get_smp_processor_id(), zero = 0;
	struct table *table = bpf_map_lookup_elem(&tables, &cpu);
	struct settings *settings = bpf_map_lookup_elem(&settings_map, &zero);

	if (!table || !settings)
		return 0;

	struct net_device *dev = skb->dev;
	u32 netns = netns_number(dev->nd_net.net);
	u32 ifindex;

	if (likely(netns)) {
		ifindex = dev->ifindex;
		table->dev = (u64)dev;
	} else {
		table->skb = (u64)skb;
		table->sk = rx_sk ? rx_sk : (u64)skb->sk;
		table->dev = 0;
		u64 place = place_without_device(table);

		netns = place;
		ifindex = place >> 32;
	}
	if (unlikely(settings->selects) && ((settings->netns && netns && netns != settings->netns) ||
					    (settings->ifindex && ifindex && ifindex != settings->ifindex))) {
		table->unselected++;
		return 0;
	}

	u16 protocol = skb->protocol;
	u8 ip_protocol = read_ip_protocol(table, skb, protocol);
	u64 second = reason | (u64)ifindex << 32; /* the kernel hands the enumeration over as 32 bits */
	u64 third = netns | (u64)__builtin_bswap16(protocol) << 32 | (u64)ip_protocol << 48 | (u64)COUNT_EXACT << 56;
	int index = hash(location, second, third) & (COUNTS - 1);
	u64 *words = words_of(&table->counts[index]);

	if (unlikely(words[0] != location || words[1] != second || words[2] != third)) {
		index = find_count(table, location, second, third);
		if (index < 0) {
			table->overflow++;
			table->edge_overflow += !settings->window_is_open;
			return 0;
		}
		index &= COUNTS - 1;
	}

	struct count *count = &table->counts[index];
	u64 packets = ++count->packets;

	if (unlikely(!settings->window_is_open))
		count->edge_packets++;
	if (packets < count->flows_due)
		return 0;
	table->skb = (u64)skb;
	table->sk = rx_sk ? rx_sk : (u64)skb->sk;
	look_at_flow(table, index);
	if (packets > SAMPLES_PER_CPU)
		return 0;
	if (packets == 1 && table->dev)
		bpf_probe_read_kernel_str(table->names[index], 16, &((struct net_device *)table->dev)->name);
	if (visit_site(ctx, count))
		take_sample(table, index);
	return 0;
}
