import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { parseGrep } from '../../../src/host/entered.ts';

const forwarding = '/proc/sys/net/ipv4/ip_forward';
const rmem = '/proc/sys/net/ipv4/tcp_rmem';
const lines = '/proc/sys/net/ipv4/tcp_available_congestion_control';
const missing = '/proc/sys/net/ipv4/conf/gone/rp_filter';
const flush = '/proc/sys/net/ipv4/route/flush';
const secret = '/proc/sys/net/ipv6/conf/lo/stable_secret';
const empty = '/proc/sys/net/ipv4/ip_local_reserved_ports';

test('answers of GNU grep 3.8 on Linux 6.18, in the order asked', () => {
  const output = {
    stdout: [
      `${rmem}\x004096\t131072\t6291456\n`,
      `${forwarding}\x001\n`,
      `${lines}\x00reno\n${lines}\x00cubic: a\n`,
      `${empty}\x00\n`,
    ].join(''),
    stderr:
      `grep: ${missing}: No such file or directory\n` +
      `grep: ${flush}: Permission denied\n` +
      `grep: ${secret}: Input/output error\n` +
      'grep: /proc/sys/net: Is a directory\n',
  };
  const paths = [forwarding, missing, rmem, flush, lines, secret, empty, '/proc/sys/net'];
  expect(parseGrep(paths, output)).toEqual([
    { status: 'ok', value: '1\n' },
    { status: 'absent', reason: `${missing}: no such file` },
    { status: 'ok', value: '4096\t131072\t6291456\n' },
    { status: 'denied', reason: `${flush}: permission denied` },
    { status: 'ok', value: 'reno\ncubic: a\n' },
    { status: 'absent', reason: `${secret}: the kernel gives no value (Input/output error)` },
    { status: 'ok', value: '\n' },
    { status: 'malformed', reason: '/proc/sys/net: is a directory, not a file' },
  ]);
});

test('a file without a line is an empty file', () => {
  expect(parseGrep([empty], { stdout: '', stderr: '' })).toEqual([{ status: 'ok', value: '' }]);
});

test('one reading per path, whatever grep prints', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string()),
      fc.string({ unit: 'binary' }),
      fc.string({ unit: 'binary' }),
      (paths, stdout, stderr) => {
        expect(parseGrep(paths, { stdout, stderr })).toHaveLength(paths.length);
      },
    ),
  );
});
