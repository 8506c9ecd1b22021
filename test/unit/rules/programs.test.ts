import { expect, test } from 'vitest';
import type { LoadedProgram } from '../../../checks/programs.ts';
import type { Qdisc, Qdiscs } from '../../../checks/qdisc.ts';
import type { TcFilter, TcxProgram } from '../../../checks/qdisc/filters.ts';
import tcEgressDrop from '../../../rules/l2/tc-egress-drop.ts';
import tcIngressDrop from '../../../rules/l2/tc-ingress-drop.ts';
import xdpDrop from '../../../rules/l2/xdp-drop.ts';
import { severityOf } from '../../../src/engine/rank.ts';
import type { DropCount } from '../../../src/model/drops.ts';
import type { JudgeWindow } from '../../../src/model/rule.ts';
import {
  capture,
  causesOf,
  detailsOf,
  foreign,
  linkRise,
  programsOf,
  sampled,
  snmpRise,
  window,
} from './evidence.ts';

const program = { id: 106, name: 'filter', mode: 'generic' } as const;
const attached = { xdp: true, xdpPrograms: [program], rxPackets: 1000n };

interface Xdp {
  readonly drop?: Partial<DropCount>;
  readonly statistics?: Readonly<Record<string, bigint>>;
  readonly xdp?: boolean;
  readonly at?: JudgeWindow;
  readonly programs?: ReturnType<typeof programsOf>;
}

function xdp({ drop = {}, statistics = {}, xdp = true, at = window, programs }: Xdp) {
  const link = linkRise({
    eth0: { ...attached, xdp },
    eth1: { rxPackets: 1000n },
  });
  const drops = capture([
    { reason: 'NOT_SPECIFIED', location: 'do_xdp_generic', packets: 0, ...drop },
  ]);
  const nics = (add: boolean) => ({
    interfaces: new Map([
      [
        'eth0',
        {
          statistics: new Map(
            Object.entries(statistics).map(([name, value]) => [name, add ? 9n + value : 9n]),
          ),
        },
      ],
    ]),
  });
  const ethtool = sampled(nics(false), nics(true));
  return causesOf(xdpDrop.judge({ link, drops, ethtool, programs }, at))[0];
}

test('a program drops: named by its id, as policy', () => {
  const cause = xdp({ drop: { packets: 200 } });
  expect(cause).toMatchObject({
    confidence: 'certain',
    packets: 200,
    scope: { interface: 'eth0', rule: 'XDP program filter (id 106, generic mode)' },
  });
  expect(cause && severityOf(cause)).toBe('warning');
  expect(xdp({ drop: { packets: 25 } })).toBeUndefined();
});

test('not without a program, not on another interface, not more than came in here', () => {
  expect(xdp({ drop: { packets: 200 }, xdp: false })).toBeUndefined();
  const onEth1 = detailsOf({ interface: 'eth1' });
  expect(xdp({ drop: { packets: 200, ...onEth1 } })).toBeUndefined();
  expect(xdp({ drop: { packets: 5000 }, at: foreign })).toMatchObject({
    confidence: 'likely',
    packets: 1000,
  });
});

test('in a driver only its statistics tell; the sum of the queues is not counted again', () => {
  const queues = { rx0_xdp_drop: 60n, rx1_xdp_drop: 40n };
  expect(xdp({ statistics: queues })).toMatchObject({ packets: 100, beforeEvents: true });
  expect(xdp({ statistics: { ...queues, rx_xdp_drop: 100n } })?.packets).toBe(100);
  expect(xdp({ statistics: { rx_xdp_redirect: 100n } })).toBeUndefined();
});

const filter: TcFilter = {
  direction: 'ingress',
  kind: 'bpf',
  preference: 1,
  program: { id: 7, name: 'deny' },
  actions: [],
};

function clsact(dropped: bigint): Qdisc {
  return {
    device: 'eth0',
    kind: 'clsact',
    handle: 'ffff:',
    parent: 'ffff:fff1',
    bytes: 0n,
    packets: 0n,
    dropped,
    overlimits: 0n,
    requeues: 0n,
    backlogBytes: 0n,
    queueLength: 0n,
    details: new Map(),
    options: {},
  };
}

interface Tc {
  readonly reason?: string;
  readonly packets: number;
  readonly counted?: bigint;
  readonly filters?: readonly TcFilter[];
  readonly tcx?: readonly TcxProgram[];
  readonly at?: JudgeWindow;
  readonly programs?: ReturnType<typeof programsOf>;
}

function tc({
  reason = 'TC_INGRESS',
  packets,
  counted = 0n,
  filters,
  tcx = [],
  at = window,
  programs,
}: Tc) {
  const last: Qdiscs = {
    qdiscs: [clsact(50n + counted)],
    ...(filters !== undefined && { filters: new Map([['eth0', filters]]) }),
    tcx,
  };
  const evidence = {
    drops: capture([{ reason, location: '__netif_receive_skb_core', packets }]),
    qdisc: sampled<Qdiscs>({ qdiscs: [clsact(50n)] }, last),
    programs,
    snmp: snmpRise({ 'Ip.InReceives': 1000, 'Ip.OutRequests': 1000 }),
  };
  return {
    ingress: causesOf(tcIngressDrop.judge(evidence, at))[0],
    egress: causesOf(tcEgressDrop.judge(evidence, at))[0],
  };
}

test('a filter at the ingress hook is named; egress has nothing to do with it', () => {
  const { ingress, egress } = tc({ packets: 200, counted: 200n, filters: [filter] });
  expect(ingress).toMatchObject({
    confidence: 'certain',
    packets: 200,
    severityAtMost: 'warning',
    scope: { interface: 'eth0', rule: 'BPF program deny (id 7) (pref 1)' },
  });
  expect(egress).toBeUndefined();
  expect(tc({ reason: 'TC_EGRESS', packets: 200 }).egress).toMatchObject({ packets: 200 });
});

test('tcx has no counter, and noise is no fault', () => {
  expect(tc({ packets: 26 }).ingress).toMatchObject({ packets: 26, scope: {} });
  expect(tc({ packets: 25 }).ingress).toBeUndefined();
  expect(tc({ reason: 'UNHANDLED_PROTO', packets: 200 }).ingress).toBeUndefined();
});

test('of the whole machine only what the hooks here counted', () => {
  expect(tc({ packets: 5000, counted: 60n, at: foreign }).ingress).toMatchObject({
    confidence: 'likely',
    packets: 60,
  });
  expect(tc({ packets: 5000, at: foreign }).ingress).toBeUndefined();
  // Something hangs there, but not in this direction.
  const egressOnly = [{ ...filter, direction: 'egress' as const }];
  expect(
    tc({ packets: 90, counted: 90n, filters: egressOnly, at: foreign }).ingress,
  ).toBeUndefined();
});

test('a policer is told from a filter', () => {
  const police = { direction: 'ingress', kind: 'u32', actions: ['police'] } as const;
  const { ingress } = tc({ packets: 200, counted: 200n, filters: [police] });
  expect(ingress?.means).toMatch(/policer limits the rate/);
});

const loaded: LoadedProgram = {
  id: 106,
  name: 'filter',
  loadedAt: '2026-11-22T09:00:59.999Z',
  pins: [],
  holders: [],
};
const agent = { pid: 812, name: 'agent' };

test('who holds an XDP program is named with it', () => {
  const named = (program: Partial<LoadedProgram>, allHolders = true) => {
    const programs = programsOf({ programs: [{ ...loaded, ...program }], allHolders });
    const cause = xdp({ drop: { packets: 200 }, programs });
    return [cause?.scope.rule, cause?.because.find(({ source }) => source.includes('prog'))?.text];
  };
  const itself = 'XDP program filter (id 106, generic mode)';
  const since = 'loaded 2026-11-22 09:00 UTC';
  const byAgent = 'held by agent (pid 812, agent.service)';
  expect(named({ holders: [{ ...agent, unit: 'agent.service' }] })).toEqual([
    `${itself}, ${byAgent}`,
    `${byAgent}; ${since}`,
  ]);
  const pin = 'pinned at /sys/fs/bpf/deny';
  expect(named({ pins: ['/sys/fs/bpf/deny'] })).toEqual([`${itself}, ${pin}`, `${pin}; ${since}`]);
  expect(named({})).toEqual([itself, expect.stringMatching(/^held by no process and pinned nowh/)]);
  expect(named({}, false)).toEqual([itself, `who holds it was not found; ${since}`]);
  // Another program's holder is not its own.
  expect(named({ id: 107, holders: [agent] })).toEqual([itself, undefined]);
});

test('who holds the BPF program of a tc filter is named with it', () => {
  const programs = programsOf({ programs: [{ ...loaded, id: 7, holders: [agent] }] });
  const { ingress } = tc({ packets: 200, counted: 200n, filters: [filter], programs });
  expect(ingress?.scope.rule).toBe('BPF program deny (id 7) (pref 1), held by agent (pid 812)');
});

const byTcx: TcxProgram = {
  device: 'eth0',
  direction: 'ingress',
  program: { id: 8, name: 'cil_from_netdev' },
};

test('what no qdisc counted a program attached by tcx has dropped', () => {
  const programs = programsOf({ programs: [{ ...loaded, id: 8, pins: ['/sys/fs/bpf/link'] }] });
  const { ingress, egress } = tc({ packets: 200, tcx: [byTcx], programs });
  expect(ingress?.scope).toEqual({
    interface: 'eth0',
    rule: 'BPF program cil_from_netdev (id 8), attached by tcx, pinned at /sys/fs/bpf/link',
  });
  expect(egress).toBeUndefined();
});

test('where a filter dropped as well, or another program may have, none is blamed', () => {
  const counted = { packets: 200, filters: [filter], tcx: [byTcx] };
  expect(tc({ ...counted, counted: 200n }).ingress?.scope.rule).toMatch(/^BPF program deny /);
  const both = tc({ ...counted, counted: 90n }).ingress;
  expect(both?.scope.rule).toBeUndefined();
  expect(both?.because.map(({ text }) => text)).toEqual(
    expect.arrayContaining([
      'BPF program deny (id 7) (pref 1) on eth0',
      'BPF program cil_from_netdev (id 8), attached by tcx on eth0',
    ]),
  );
  const elsewhere = { ...byTcx, device: 'eth1' };
  expect(tc({ packets: 200, tcx: [byTcx, elsewhere] }).ingress?.scope).toEqual({});
});
