import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Btf, BtfError } from '../../../../src/capture/bpf/btf.ts';
import { verifierVerdict } from '../../../../src/capture/bpf/program.ts';
import {
  coreReasons,
  givesReasons,
  subsystemNames,
  subsystemReasons,
} from '../../../../src/capture/bpf/reason-names.ts';
import { BtfBuilder } from './btf-builder.ts';

function vmlinux(): BtfBuilder {
  return new BtfBuilder()
    .int('int')
    .enumeration('skb_drop_reason', {
      SKB_NOT_DROPPED_YET: 0,
      SKB_CONSUMED: 1,
      SKB_DROP_REASON_NOT_SPECIFIED: 2,
      SKB_DROP_REASON_IP_RPFILTER: 11,
      SKB_DROP_REASON_MAX: 130,
      SKB_DROP_REASON_SUBSYS_MASK: 0xffff0000,
    })
    .enumeration('skb_drop_reason_subsys', {
      SKB_DROP_REASON_SUBSYS_CORE: 0,
      SKB_DROP_REASON_SUBSYS_MAC80211_UNUSABLE: 1,
      SKB_DROP_REASON_SUBSYS_OPENVSWITCH: 2,
      SKB_DROP_REASON_SUBSYS_NUM: 3,
    });
}

test('reasons of the core and names of subsystems', () => {
  const btf = new Btf(vmlinux().bytes());
  expect(coreReasons(btf)).toEqual(
    new Map([
      [0, 'NOT_DROPPED_YET'],
      [1, 'CONSUMED'],
      [2, 'NOT_SPECIFIED'],
      [11, 'IP_RPFILTER'],
      [130, 'MAX'],
    ]),
  );
  expect(subsystemNames(btf)).toEqual(
    new Map([
      [0, 'CORE'],
      [1, 'MAC80211_UNUSABLE'],
      [2, 'OPENVSWITCH'],
    ]),
  );
});

test('reasons of a subsystem, in the BTF of a module, which builds on that of vmlinux', () => {
  const base = vmlinux();
  const module = new BtfBuilder(base)
    .enumeration('ovs_drop_reason', { __OVS_DROP_REASON: 0x20000, OVS_DROP_LAST_ACTION: 0x20001 })
    .enumeration('___mac80211_drop_reason', { ___RX_DROP_U_MIC_FAIL: 0x10001 })
    .enumeration('unrelated', { OTHER: 0x20001 });
  const btf = new Btf(module.bytes(), new Btf(base.bytes()));
  expect(subsystemReasons(btf, new Set([0x20001, 0x10001, 0x20099]))).toEqual(
    new Map([
      [0x20001, 'OVS_DROP_LAST_ACTION'],
      [0x10001, 'RX_DROP_U_MIC_FAIL'],
    ]),
  );
});

test.each([
  ['before 5.17', ['', 'sk_buff', ''], false],
  ['since 5.17', ['', 'sk_buff', '', 'skb_drop_reason'], true],
  ['since 6.11', ['', 'sk_buff', '', 'skb_drop_reason', 'sock'], true],
])('the arguments of the tracepoint %s', (_, parameters, reasons) => {
  const btf = new Btf(vmlinux().tracepoint('btf_trace_kfree_skb', parameters).bytes());
  expect(btf.parametersOfPointer('btf_trace_kfree_skb')).toEqual(parameters);
  expect(givesReasons(btf)).toBe(reasons);
});

test('no such tracepoint', () => {
  expect(givesReasons(new Btf(vmlinux().bytes()))).toBe(false);
});

test('garbage is BTF or a BtfError', () => {
  const good = vmlinux().tracepoint('btf_trace_kfree_skb', ['', 'sk_buff', '']).bytes();
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 8 }),
      fc.nat(good.length),
      (changes, length) => {
        const bytes = Buffer.from(good.subarray(0, length));
        for (const [at, value] of changes) if (at < length) bytes[at] = value;
        const parse = (): void => {
          const btf = new Btf(bytes);
          coreReasons(btf);
          btf.parametersOfPointer('btf_trace_kfree_skb');
        };
        expect(errorOf(parse)).toSatisfy((error) => error === null || error instanceof BtfError);
      },
    ),
  );
});

test('the verdict of the verifier', () => {
  const log = [
    "libbpf: prog 'drops_rx_sk': -- BEGIN PROG LOAD LOG --",
    '341: (71) r1 = *(u8 *)(r7 +18)',
    "R7 invalid mem access 'rcu_ptr_or_null_'",
    'processed 355 insns (limit 1000000) max_states_per_insn 1',
    '-- END PROG LOAD LOG --',
    "libbpf: prog 'drops_rx_sk': failed to load: -13",
  ].join('\n');
  expect(verifierVerdict(log)).toBe("R7 invalid mem access 'rcu_ptr_or_null_'");
  expect(
    verifierVerdict('libbpf: Error in bpf_create_map_xattr(tables):Operation not permitted'),
  ).toBeNull();
});

function errorOf(action: () => void): unknown {
  try {
    action();
    return null;
  } catch (error) {
    return error;
  }
}
