import drops from '../../checks/drops.ts';
import link from '../../checks/link.ts';
import { rise } from '../../src/model/counter.ts';
import { packetsOf, type DropCapture } from '../../src/model/drops.ts';
import type { Fix } from '../../src/model/fix.ts';
import {
  defineRule,
  type CauseFinding,
  type Finding,
  type JudgeWindow,
} from '../../src/model/rule.ts';
import { onlyToGroups } from '../to-groups.ts';
import { isChatter } from './chatter.ts';
import { claimsAt, dropsAt, settledLinks, type SettledLink } from './device-drops.ts';

const NO_REMOTE = {
  reasons: ['NO_TX_TARGET', 'VXLAN_NO_REMOTE', 'NOT_SPECIFIED'],
  locations: ['vxlan_xmit', 'vxlan_xmit_one', 'vxlan_xmit_nh', 'vxlan_mdb_xmit'],
};
const UNKNOWN_VNI = {
  reasons: ['VXLAN_VNI_NOT_FOUND', 'NOT_SPECIFIED'],
  locations: ['vxlan_rcv'],
};
/** Each has one meaning (include/net/dropreason-core.h, Linux 6.18). */
const BROKEN: ReadonlyMap<string, string> = new Map([
  ['VXLAN_INVALID_HDR', 'have a header that is not VXLAN as this device speaks it'],
  ['VXLAN_ENTRY_EXISTS', 'come from a MAC address that has a fixed entry for another tunnel end'],
  ['IP_TUNNEL_ECN', 'have congestion bits inside and outside that contradict each other'],
  ['TUNNEL_TXINFO', 'were sent into a tunnel device that is told no destination'],
]);

export default defineRule({
  id: 'vxlan-misconfig',
  title: 'A VXLAN tunnel does not know where packets belong',
  needs: { link },
  wants: { drops },
  reviewed: '2026-11-22',
  explain: {
    see: 'Hosts behind a VXLAN (an overlay network of containers) cannot be reached. `tx dropped` of the VXLAN device rises, or nothing at all.',
    kernel:
      '`vxlan_xmit` (drivers/net/vxlan/vxlan_core.c) looks up the other end for the destination MAC in its forwarding table. Without an entry, and without a default remote, it drops: `NO_TX_TARGET`, tx_dropped. `vxlan_rcv` drops packets of a network id (VNI) that no device here has, without a counter: `VXLAN_VNI_NOT_FOUND` (6.13; before that, no reason is given).',
    confirm:
      '`ip -s -d link show type vxlan` (id, remote, dstport, TX dropped); `bridge fdb show dev INTERFACE` lists the other ends; `tcpdump -ni any udp port 4789 or udp port 8472` shows the VNI that arrives.',
    fix: 'Add the other end: `bridge fdb append 00:00:00:00:00:00 dev INTERFACE dst ADDRESS`. Give both ends the same VNI and port (the standard says 4789, Linux defaults to 8472). If an agent (flannel, Calico, Cilium) keeps the table, look at the agent.',
    normal:
      'A few announcements (mDNS, IPv6) on overlays that know only unicast. Unknown VNIs where several overlays share a multicast group.',
    references: ['drivers/net/vxlan/vxlan_core.c vxlan_xmit, vxlan_rcv (Linux 6.18)', 'RFC 7348'],
  },
  judge({ link, drops }, window) {
    const devices = settledLinks(link).filter(({ now }) => now.kind === 'vxlan');
    const findings = devices.flatMap((device) => withoutRemote(device, drops, window));
    // Nothing counts those that arrive: where the capture sees all namespaces, only one with a VXLAN can have them.
    if (drops === undefined || (window.severalNetns && devices.length === 0)) return findings;
    return [...findings, ...unknownVni(devices, drops, window), ...broken(drops, window)];
  },
});

function withoutRemote(
  { name, before, now }: SettledLink,
  capture: DropCapture | undefined,
  window: JudgeWindow,
): readonly Finding[] {
  const counted = rise(before.txDropped, now.txDropped);
  const seen = dropsAt(capture, NO_REMOTE, name);
  const packets = capture === undefined ? counted : Math.min(counted, packetsOf(seen));
  if (packets === 0) return [];
  const claims = claimsAt(NO_REMOTE, { interface: name, packets });
  if (isChatter(packets, window) || onlyToGroups(seen) === true) {
    return [
      {
        kind: 'benign',
        text: `Announcements into ${name} (mDNS, IPv6), which knows nobody to send them to.`,
        claims,
      },
    ];
  }
  const sent = rise(before.txPackets, now.txPackets);
  return [
    {
      kind: 'cause',
      confidence: seen.some(({ reason }) => reason === 'NO_TX_TARGET') ? 'certain' : 'likely',
      packets,
      traffic: { packets: packets + sent, what: `packets sent through ${name}` },
      scope: { interface: name },
      because: [
        {
          source: `/sys/class/net/${name}/statistics/tx_dropped`,
          text: `${packets} packets into ${name} had no tunnel end to go to, ${sent} went out`,
          first: String(before.txDropped),
          last: String(now.txDropped),
        },
      ],
      means: `${name} does not know behind which host the destination is: there is no forwarding entry for it and no default remote.`,
      rulesOut: [],
      fixes: [addRemote(name)],
      claims,
    },
  ];
}

function addRemote(name: string): Fix {
  return {
    id: `add-remote-${name}`,
    title: `Tell ${name} where the other ends are`,
    risk: 'disruptive',
    cost: 'a wrong entry sends the traffic to the wrong host',
    takesEffect: 'at-once',
    steps: [
      {
        kind: 'manual',
        text: `See what it knows: bridge fdb show dev ${name}. For one other end: bridge fdb append 00:00:00:00:00:00 dev ${name} dst ADDRESS. If an agent keeps the entries (flannel, Calico, Cilium), look why it did not.`,
      },
    ],
  };
}

function unknownVni(
  devices: readonly SettledLink[],
  capture: DropCapture,
  window: JudgeWindow,
): readonly Finding[] {
  const seen = dropsAt(capture, UNKNOWN_VNI);
  const packets = packetsOf(seen);
  if (packets === 0) return [];
  const claims = claimsAt(UNKNOWN_VNI, { packets });
  // Linux before 6.13 drops for whatever reason in one place, and does not say for which.
  const told = packetsOf(seen.filter(({ reason }) => reason === 'VXLAN_VNI_NOT_FOUND')) === packets;
  if (isChatter(packets, window) || onlyToGroups(seen) === true) {
    return [
      {
        kind: 'benign',
        text: 'VXLAN packets of networks that do not end on this host.',
        claims,
      },
    ];
  }
  const known = devices.flatMap(({ name, now }) =>
    now.vxlanId === undefined ? [] : [`${now.vxlanId} (${name})`],
  );
  return [
    {
      kind: 'cause',
      confidence: told ? 'certain' : 'possible',
      packets,
      severityAtMost: 'warning',
      scope: {},
      because: [
        {
          source: 'skb:kfree_skb',
          text: told
            ? `${packets} VXLAN packets had a network id (VNI) that no device here has`
            : `${packets} VXLAN packets were refused before a device had them; this kernel does not say why`,
        },
        ...(known.length === 0
          ? []
          : [{ source: 'ip -d link show type vxlan', text: `known here: ${known.join(', ')}` }]),
      ],
      means: `${told ? 'Another' : 'Most often, another'} host sends VXLAN packets to this one for a network that is not set up here: the VNI differs at the two ends, or the sender has a wrong tunnel end.`,
      rulesOut: [],
      fixes: [],
      claims,
    },
  ];
}

function broken(capture: DropCapture, window: JudgeWindow): readonly CauseFinding[] {
  return [...BROKEN].flatMap(([reason, what]): CauseFinding[] => {
    const packets = packetsOf(capture.drops.filter((drop) => drop.reason === reason));
    if (packets === 0) return [];
    return [
      {
        kind: 'cause',
        confidence: 'certain',
        packets,
        severityAtMost: isChatter(packets, window) ? 'notice' : 'warning',
        scope: {},
        because: [{ source: 'skb:kfree_skb', text: `${packets} packets (${reason})` }],
        means: `Packets of a tunnel ${what}.`,
        rulesOut: [],
        fixes: [],
        claims: [{ reason, packets }],
      },
    ];
  });
}
