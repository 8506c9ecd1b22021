import drops from '../../checks/drops.ts';
import ethtool, { sumByTemplate, type Nics } from '../../checks/ethtool.ts';
import link, { type Link } from '../../checks/link.ts';
import programs, { type BpfPrograms } from '../../checks/programs.ts';
import type { Sampled } from '../../src/model/check.ts';
import { rise } from '../../src/model/counter.ts';
import { packetsOf, type DropCapture } from '../../src/model/drops.ts';
import { defineRule, type CauseFinding, type Claim } from '../../src/model/rule.ts';
import { heldBy, observedHolders } from '../bpf-program.ts';
import { areStray, dropsOf, seen, strays } from '../ip/evidence.ts';

/** Generic mode, and drivers that make an skb first. Others drop before there is one. */
const LOCATIONS = [
  'do_xdp_generic',
  'netif_receive_generic_xdp',
  'bpf_prog_run_generic_xdp',
  'veth_xdp_rcv_skb',
  'veth_xdp_rcv_one',
  'veth_xdp_rcv',
  'tun_xdp_act',
];

export default defineRule({
  id: 'xdp-drop',
  title: 'An XDP program drops packets',
  needs: { link },
  wants: { drops, ethtool, programs },
  reviewed: '2026-11-22',
  explain: {
    see: 'Packets that arrive at the card reach neither tcpdump nor the firewall; no counter of IP moves.',
    kernel:
      'A BPF program at the XDP hook decides before the stack sees the packet. In generic mode the drop shows without a reason at `do_xdp_generic` (net/core/dev.c), on a veth at `veth_xdp_rcv_skb`. In a driver there is no skb yet and no drop event: only statistics such as `rx_xdp_drop` of `ethtool -S` tell. The reason `XDP` means an error on that path, not the verdict of a program.',
    confirm:
      '`ip -d link show INTERFACE`: xdp, with the id of the program; whydrop names who holds it (as root, with libbpf), and so do `bpftool prog show id ID` and `bpftool net`; `ethtool -S INTERFACE | grep xdp`.',
    fix: 'Ask its owner (Cilium, a filter against floods, a load balancer). In an emergency `ip link set dev INTERFACE xdp off` removes it, and the protection with it.',
    normal: 'A filter against floods drops on purpose.',
    references: [
      'net/core/dev.c do_xdp_generic (Linux 6.18)',
      'drivers/net/veth.c veth_xdp_rcv_skb (Linux 6.18)',
    ],
  },
  judge({ link, drops, ethtool, programs }, window) {
    return [...link.last.interfaces]
      .filter(([, { xdp }]) => xdp === true)
      .flatMap(([name, now], _, attached) => {
        const before = link.first.interfaces.get(name);
        const received = rise(before?.rxPackets, now.rxPackets);
        const found = eventsOf(drops, name, attached.length === 1);
        // A capture that does not tell namespaces: the program met no more packets than came in here.
        const events = window.severalNetns ? Math.min(found, received) : found;
        const silent = inDriver(ethtool, name);
        const packets = events + silent;
        const claims = claimsOf(name, events);
        const ids = (now.xdpPrograms ?? []).map(({ id }) => id);
        if (areStray(packets, window))
          return strays('A few packets that an XDP program dropped.', claims, window);
        const finding: CauseFinding = {
          kind: 'cause',
          confidence: window.severalNetns && silent === 0 ? 'likely' : 'certain',
          packets,
          traffic: { packets: received + silent, what: `packets received by ${name}` },
          // Somebody put it there.
          severityAtMost: 'warning',
          scope: { interface: name, rule: programsOf(now, programs) },
          because: [
            { source: `ip -d link show ${name}`, text: programsOf(now) },
            ...observedHolders(programs, ids),
            ...seen(events, 'where XDP programs drop'),
            ...(silent > 0
              ? [
                  {
                    source: `ethtool -S ${name}, xdp_drop`,
                    text: `${silent} dropped in the driver`,
                  },
                ]
              : []),
          ],
          means: `An XDP program on ${name} drops these packets before the rest of the system sees them. It is a fault only if this traffic is wanted.`,
          rulesOut: [{ id: 'nf-rule-drop', because: 'the firewall comes after XDP' }],
          fixes: [
            {
              id: `xdp-off-${name}`,
              title: `Correct the program on ${name}, or take it off in an emergency`,
              risk: 'disruptive',
              cost: 'without it the traffic it holds back comes in',
              takesEffect: 'at-once',
              steps: [
                {
                  kind: 'manual',
                  text: `The owner of the program knows why it drops; bpftool prog show and bpftool net tell more. Emergency: ip link set dev ${name} ${commandMode(now)} off`,
                },
              ],
            },
          ],
          claims,
          ...(events === 0 ? { beforeEvents: true as const } : {}),
        };
        return [finding];
      });
  },
});

/** @param only the only interface with a program; then drops whose interface is unknown are its */
function eventsOf(drops: DropCapture | undefined, name: string, only: boolean): number {
  const events = [
    ...dropsOf(drops, { reasons: ['NOT_SPECIFIED', null], locations: LOCATIONS }),
    ...dropsOf(drops, { reasons: ['XDP'] }),
  ];
  return packetsOf(
    events.filter(({ details }) => {
      const seenOn = details?.interface ?? undefined;
      return seenOn === undefined ? only : seenOn === name;
    }),
  );
}

function claimsOf(name: string, packets: number): readonly Claim[] {
  if (packets === 0) return [];
  return [
    ...['NOT_SPECIFIED', null].map((reason) => ({
      reason,
      location: LOCATIONS,
      interface: name,
      packets,
    })),
    { reason: 'XDP', interface: name, packets },
  ];
}

/** `rx_xdp_drop`, or the sum of the queues where the driver counts only these. */
function inDriver(ethtool: Sampled<Nics> | undefined, name: string): number {
  const [first, last] = [ethtool?.first, ethtool?.last].map((nics) =>
    sumByTemplate(nics?.interfaces.get(name)?.statistics ?? new Map()),
  );
  const rises = [...(last ?? [])]
    .filter(([template]) => /(?:^|_)xdp_drops?$/.test(template))
    .map(([template, value]) => ({
      ofQueues: template.includes('N'),
      packets: rise(first?.get(template), value),
    }));
  const totals = rises.filter(({ ofQueues }) => !ofQueues);
  return packetsOf(totals.length > 0 ? totals : rises);
}

function programsOf({ xdpPrograms }: Link, programs?: Sampled<BpfPrograms>): string {
  const names = (xdpPrograms ?? []).map(
    ({ id, name, mode }) =>
      `XDP program ${name === '' ? '' : `${name} `}(id ${id}, ${mode} mode)${heldBy(programs, id)}`,
  );
  return names.length === 0 ? 'an XDP program' : names.join(', ');
}

function commandMode({ xdpPrograms }: Link): string {
  const mode = xdpPrograms?.[0]?.mode;
  return mode === 'generic'
    ? 'xdpgeneric'
    : mode === 'native'
      ? 'xdpdrv'
      : mode === 'offload'
        ? 'xdpoffload'
        : 'xdp';
}
