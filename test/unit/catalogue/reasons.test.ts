import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { rules } from '../../../rules/index.ts';
import { Btf } from '../../../src/capture/bpf/btf.ts';
import { coreReasons } from '../../../src/capture/bpf/reason-names.ts';
import { counterOf } from '../../../src/catalogue/counters.ts';
import { findReason, reasons } from '../../../src/catalogue/reasons.ts';
import { causeIds } from './cause-ids.ts';

/** Of the enumeration, but no reason to drop anything. */
const noReasons = new Set(['NOT_DROPPED_YET', 'CONSUMED', 'MAX']);

function runningKernel(): Btf | undefined {
  try {
    return new Btf(readFileSync('/sys/kernel/btf/vmlinux'));
  } catch {
    return undefined;
  }
}

test('every core reason of the running kernel is known', ({ skip }) => {
  const btf = runningKernel();
  if (btf === undefined) return skip('/sys/kernel/btf/vmlinux cannot be read');
  const names = [...coreReasons(btf).values()].filter((name) => !noReasons.has(name));
  // Drop reasons came with 5.17; the oldest kernel with any has six.
  if (names.length === 0) return skip('this kernel has no drop reasons');
  expect(names.filter((name) => findReason(name)?.name !== name)).toEqual([]);
});

test('every reason of other kernels that have been seen is known', () => {
  const elsewhere = `
    TCP_FILTER PTYPE_ABSENT TC_ERROR VXLAN_NO_REMOTE BLACKHOLE QDISC_BURST_DROP
    MACVLAN_BROADCAST_BACKLOG IPVLAN_MULTICAST_BACKLOG SKB_BAD_GSO IPV6_TOO_MANY_EXTHDRS
    NOT_SPECIFIED NO_SOCKET SOCKET_CLOSE SOCKET_FILTER SOCKET_RCVBUFF UNIX_DISCONNECT UNIX_SKIP_OOB
    PKT_TOO_SMALL TCP_CSUM UDP_CSUM NETFILTER_DROP OTHERHOST IP_CSUM IP_INHDR IP_RPFILTER
    UNICAST_IN_L2_MULTICAST XFRM_POLICY IP_NOPROTO PROTO_MEM TCP_AUTH_HDR TCP_MD5NOTFOUND
    TCP_MD5UNEXPECTED TCP_MD5FAILURE TCP_AONOTFOUND TCP_AOUNEXPECTED TCP_AOKEYNOTFOUND
    TCP_AOFAILURE SOCKET_BACKLOG TCP_FLAGS TCP_ABORT_ON_DATA TCP_ZEROWINDOW TCP_OLD_DATA
    TCP_OVERWINDOW TCP_OFOMERGE TCP_RFC7323_PAWS TCP_RFC7323_PAWS_ACK TCP_RFC7323_TW_PAWS
    TCP_RFC7323_TSECR TCP_LISTEN_OVERFLOW TCP_OLD_SEQUENCE TCP_INVALID_SEQUENCE
    TCP_INVALID_END_SEQUENCE TCP_INVALID_ACK_SEQUENCE TCP_RESET TCP_INVALID_SYN TCP_CLOSE
    TCP_FASTOPEN TCP_OLD_ACK TCP_TOO_OLD_ACK TCP_ACK_UNSENT_DATA TCP_OFO_QUEUE_PRUNE TCP_OFO_DROP
    IP_OUTNOROUTES BPF_CGROUP_EGRESS IPV6DISABLED NEIGH_CREATEFAIL NEIGH_FAILED NEIGH_QUEUEFULL
    NEIGH_DEAD NEIGH_HH_FILLFAIL TC_EGRESS SECURITY_HOOK QDISC_DROP QDISC_OVERLIMIT
    QDISC_CONGESTED CAKE_FLOOD FQ_BAND_LIMIT FQ_HORIZON_LIMIT FQ_FLOW_LIMIT CPU_BACKLOG XDP
    TC_INGRESS UNHANDLED_PROTO SKB_CSUM SKB_GSO_SEG SKB_UCOPY_FAULT DEV_HDR DEV_READY FULL_RING
    NOMEM HDR_TRUNC TAP_FILTER TAP_TXFILTER ICMP_CSUM INVALID_PROTO IP_INADDRERRORS IP_INNOROUTES
    IP_LOCAL_SOURCE IP_INVALID_SOURCE IP_LOCALNET IP_INVALID_DEST PKT_TOO_BIG DUP_FRAG
    FRAG_REASM_TIMEOUT FRAG_TOO_FAR TCP_MINTTL IPV6_BAD_EXTHDR IPV6_NDISC_FRAG
    IPV6_NDISC_HOP_LIMIT IPV6_NDISC_BAD_CODE IPV6_NDISC_BAD_OPTIONS IPV6_NDISC_NS_OTHERHOST
    QUEUE_PURGE TC_COOKIE_ERROR PACKET_SOCK_ERROR TC_CHAIN_NOTFOUND TC_RECLASSIFY_LOOP
    VXLAN_INVALID_HDR VXLAN_VNI_NOT_FOUND MAC_INVALID_SOURCE VXLAN_ENTRY_EXISTS NO_TX_TARGET
    IP_TUNNEL_ECN TUNNEL_TXINFO LOCAL_MAC ARP_PVLAN_DISABLE MAC_IEEE_MAC_CONTROL
    BRIDGE_INGRESS_STP_STATE CAN_RX_INVALID_FRAME CANFD_RX_INVALID_FRAME CANXL_RX_INVALID_FRAME
    PFMEMALLOC DUALPI2_STEP_DROP PSP_INPUT PSP_OUTPUT RECURSION_LIMIT

    QDISC_DROP_GENERIC QDISC_DROP_OVERLIMIT QDISC_DROP_CONGESTED QDISC_DROP_MAXFLOWS
    QDISC_DROP_CAKE_FLOOD QDISC_DROP_FLOOD_PROTECTION QDISC_DROP_FQ_BAND_LIMIT
    QDISC_DROP_BAND_LIMIT QDISC_DROP_FQ_HORIZON_LIMIT QDISC_DROP_HORIZON_LIMIT
    QDISC_DROP_FLOW_LIMIT
    OVS_DROP_LAST_ACTION OVS_DROP_ACTION_ERROR OVS_DROP_EXPLICIT OVS_DROP_EXPLICIT_WITH_ERROR
    OVS_DROP_METER OVS_DROP_RECURSION_LIMIT OVS_DROP_DEFERRED_LIMIT OVS_DROP_FRAG_L2_TOO_LONG
    OVS_DROP_FRAG_INVALID_PROTO OVS_DROP_CONNTRACK OVS_DROP_IP_TTL
    RX_DROP_U_MIC_FAIL RX_DROP_U_REPLAY RX_DROP_U_DUP RX_DROP_U_DECRYPT_FAIL RX_DROP_U_NO_KEY_ID
    RX_DROP_U_OOM RX_DROP_U_BAD_AMSDU RX_DROP_U_UNPROT_ACTION RX_DROP_U_SHORT_CCMP
    RX_DROP_M_UNEXPECTED_4ADDR_FRAME RX_DROP_M_BAD_BCN_KEYIDX RX_DROP_M_BAD_MGMT_KEYIDX
  `.trim();
  expect(elsewhere.split(/\s+/).filter((name) => findReason(name) === undefined)).toEqual([]);
});

test('a reason is found in any case, with and without its prefix, by its older names', () => {
  expect(findReason('skb_drop_reason_ip_rpfilter')?.name).toBe('IP_RPFILTER');
  expect(findReason('PTYPE_ABSENT')?.name).toBe('UNHANDLED_PROTO');
  expect(findReason('RPFILTER')).toBeUndefined();
});

test('no name stands for two reasons', () => {
  const names = reasons.flatMap(({ name, aliases = [] }) => [name, ...aliases]);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  for (const name of names) expect(name).toMatch(/^[A-Z][A-Z0-9_]+$/);
});

test.each(reasons)('$name', ({ title, meaning, causes, counters = [], ...reason }) => {
  // One line beside the drop in a report; sentences that end.
  expect(title).toMatch(/^[A-Z][^.\n]{10,70}$/);
  expect(meaning).toMatch(/^\S[^\n]+\.$/);
  const when = reason.harmless === 'never' ? 'never' : reason.when;
  expect(when).toMatch(/^(?:[a-z]|IPv6)[^\n]+[^.]$/);
  expect(causes.filter((id) => !causeIds.has(id))).toEqual([]);
  expect(counters.filter((key) => counterOf(key) === undefined)).toEqual([]);
  expect(causes.length === 0).toBe(reason.name === 'NOT_SPECIFIED');
});

test('what a rule calls harmless by its reason is called so here, with that cause', () => {
  const window = { seconds: 5, foreignNetns: false, severalNetns: false, interfaces: [] };
  const claimed = rules
    .filter(({ needs }) => Object.keys(needs).length === 0)
    .flatMap((rule) =>
      rule
        .judge({}, window)
        .filter(({ kind }) => kind === 'benign')
        .flatMap(({ claims }) => claims.flatMap(({ reason }) => reason ?? []))
        .map((reason) => ({ id: rule.id, reason })),
    )
    .filter(({ reason }) => reason !== 'NOT_SPECIFIED');
  expect(claimed).toContainEqual({ id: 'benign-socket-teardown', reason: 'QUEUE_PURGE' });
  for (const { id, reason } of claimed) expect(findReason(reason)?.causes, reason).toContain(id);
});
