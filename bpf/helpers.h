/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * What a BPF program needs of linux/bpf.h and libbpf's bpf_helpers.h, so that the object depends on
 * nothing but these files and the compiler. The numbers are user-space ABI.
 */
#pragma once

#define SEC(name) __attribute__((section(name), used))
#define __always_inline inline __attribute__((always_inline))
#define __noinline __attribute__((noinline))
#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

/* Declares the members of a map, as libbpf reads them from BTF. */
#define __uint(name, value) int(*name)[value]
#define __type(name, value) typeof(value) *name

enum { BPF_MAP_TYPE_HASH = 1, BPF_MAP_TYPE_ARRAY = 2 };
enum { BPF_F_MMAPABLE = 1 << 10 };
enum { BPF_NOEXIST = 1 };

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const bpf_map_update_elem)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static u64 (*const bpf_ktime_get_ns)(void) = (void *)5;
static u32 (*const bpf_get_smp_processor_id)(void) = (void *)8;
static long (*const bpf_get_stack)(void *ctx, void *buffer, u32 size, u64 flags) = (void *)67;
static long (*const bpf_probe_read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static long (*const bpf_probe_read_kernel_str)(void *to, u32 size, const void *from) = (void *)115;

/* Kinds of __builtin_preserve_field_info(). */
enum { FIELD_BYTE_OFFSET = 0, FIELD_BYTE_SIZE = 1, FIELD_EXISTS = 2, FIELD_LSHIFT_U64 = 4, FIELD_RSHIFT_U64 = 5 };
#define field_exists(field) __builtin_preserve_field_info(field, FIELD_EXISTS)

/* Number of a type in the running kernel's BTF. */
#define kernel_type_id(type) __builtin_btf_type_id(*(type *)0, 1)

extern void *bpf_rdonly_cast(void *address, u32 type) __attribute__((section(".ksyms")));
