import { posix } from 'node:path';

import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { interfaceKey, isHostWide, sysctlKey, sysctlPath } from '../../../src/model/sysctl-key.ts';

test.each([
  ['net.core.rmem_max', '/proc/sys/net/core/rmem_max'],
  ['net.ipv4.conf.eth0/100.rp_filter', '/proc/sys/net/ipv4/conf/eth0.100/rp_filter'],
  ['net.ipv4.conf.a//b.rp_filter', '/proc/sys/net/ipv4/conf/a..b/rp_filter'],
  ['net.bridge.bridge-nf-call-iptables', '/proc/sys/net/bridge/bridge-nf-call-iptables'],
  ["net.ipv4.conf.a'b.rp_filter", "/proc/sys/net/ipv4/conf/a'b/rp_filter"],
])('%s is %s', (key, path) => {
  expect(sysctlPath(key)).toBe(path);
  expect(sysctlKey(path)).toBe(key);
});

test.each([
  '',
  'net',
  '.',
  '..',
  '.net.core',
  'net.core.',
  'net..core',
  'net./.core',
  'net.//.//.//.etc.passwd',
  '//.//.etc.shadow',
  '/etc/passwd',
  'net/core/rmem_max',
  'net.core.rmem_max\0',
  'net.core.rmem max',
  'net.core.rmem_max\n',
  'net.ipv4.conf.\u001b[2J.rp_filter',
  'net.ipv4.conf.\u009b2J.rp_filter',
  'net.ipv4.conf.\u202eeth0.rp_filter',
  'net.ipv4.conf.*.rp_filter',
  'net.ipv4.conf.a=b.rp_filter',
])('refuses the key %j', (key) => {
  expect(sysctlPath(key)).toBeUndefined();
});

test.each([
  '/proc/sys',
  '/proc/sys/',
  '/etc/passwd',
  '/proc/sys/../kcore',
  '/proc/sys/net/../x',
  '/proc/sys/net//x',
])('refuses the path %j', (path) => {
  expect(sysctlKey(path)).toBeUndefined();
});

test('no key leads out of /proc/sys, and every path leads back to its key', () => {
  const pieces = fc.constantFrom(
    '.',
    '/',
    '..',
    '//',
    'net',
    'eth0',
    'a',
    '\0',
    ' ',
    '*',
    '\ud800',
    'ü',
  );
  const keys = fc.array(pieces, { maxLength: 8 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(fc.oneof(keys, fc.string()), (key) => {
      const path = sysctlPath(key);
      if (path === undefined) return;
      expect(posix.normalize(path)).toBe(path);
      expect(path).toMatch(/^\/proc\/sys\/[^/]+\/./);
      expect(sysctlKey(path)).toBe(key);
    }),
  );
});

test('an interface name is one component of its key', () => {
  expect(interfaceKey('net.ipv4.conf', 'eth0.100', 'rp_filter')).toBe(
    'net.ipv4.conf.eth0/100.rp_filter',
  );
  expect(interfaceKey('net.ipv4.conf', '..', 'rp_filter')).toBeUndefined();
  expect(interfaceKey('net.ipv4.conf', '', 'rp_filter')).toBeUndefined();
  expect(interfaceKey('net.ipv4.conf', 'a/b', 'rp_filter')).toBeUndefined();
  expect(interfaceKey('net.ipv4.conf', 'a\u001b', 'rp_filter')).toBeUndefined();
});

test.each([
  'net.core.netdev_max_backlog',
  'net.core.netdev_budget_usecs',
  'net.core.rmem_max',
  'net.core.wmem_default',
  'net.core.flow_limit_table_len',
  'net.ipv4.udp_mem',
  'net.ipv4.tcp_mem',
  'net.ipv4.neigh.default.gc_thresh3',
  'net.ipv6.neigh.default.gc_thresh1',
  'net.netfilter.nf_conntrack_max',
  'net.netfilter.nf_conntrack_buckets',
])('%s acts on the whole machine', (key) => {
  expect(isHostWide(key)).toBe(true);
});

test.each([
  'net.core.somaxconn',
  'net.ipv4.tcp_rmem',
  'net.ipv4.udp_rmem_min',
  'net.ipv4.ip_forward',
  'net.ipv4.conf.all.rp_filter',
  'net.ipv4.neigh.eth0.gc_stale_time',
  'net.netfilter.nf_conntrack_tcp_timeout_established',
  'xnet.core.rmem_max',
])('%s belongs to a namespace', (key) => {
  expect(isHostWide(key)).toBe(false);
});
