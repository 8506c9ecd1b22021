// SPDX-License-Identifier: MIT OR GPL-2.0
/* Does nothing: what the tracepoint and the kernel's own measuring cost. */
#include "../bpf/kernel.h"
#include "../bpf/helpers.h"

char _license[] SEC("license") = "Dual MIT/GPL";

SEC("tp_btf/kfree_skb")
int empty(u64 *ctx)
{
	return 0;
}
