import drops from '../../checks/drops.ts';
import link, { type Links } from '../../checks/link.ts';
import { rise } from '../../src/model/counter.ts';
import { packetsOf, type DropCapture } from '../../src/model/drops.ts';
import type { Fix } from '../../src/model/fix.ts';
import { defineRule, type CauseFinding } from '../../src/model/rule.ts';
import { claimsAt, dropsAt, settledLinks, type SettledLink } from './device-drops.ts';

const REFUSED = {
  reasons: ['NOT_SPECIFIED'],
  locations: ['__dev_forward_skb2', '__dev_forward_skb', 'dev_forward_skb', 'veth_xmit'],
};

export default defineRule({
  id: 'veth-peer',
  title: 'The other end of a veth pair takes only smaller packets',
  needs: { link },
  wants: { drops },
  reviewed: '2026-11-22',
  explain: {
    see: 'Small packets reach the container, large ones do not: ping works, transfers hang. `tx dropped` of this end and `rx dropped` of the other rise together.',
    kernel:
      '`veth_xmit` (drivers/net/veth.c) hands a packet to the other end, and `__dev_forward_skb2` (net/core/dev.c) refuses what is longer than the MTU there (is_skb_forwardable), without a reason. It also refuses everything while that end is down, but then this end soon has no link.',
    confirm:
      '`ip -d link show INTERFACE` here, and the same in the namespace of the other end (`ip netns identify`, `nsenter -t PID -n`): the MTUs differ.',
    fix: 'Give both ends the same MTU: `ip link set INTERFACE mtu N`. Containers get theirs from the network plugin (CNI, Docker): set it there as well, or it comes back.',
    normal: 'A few packets while a container starts or stops.',
    references: ['net/core/dev.c __dev_forward_skb2, include/linux/netdevice.h (Linux 6.18)'],
  },
  judge({ link, drops }) {
    return settledLinks(link).flatMap((device) => finding(device, link.last, drops));
  },
});

function finding(
  { name, before, now }: SettledLink,
  { interfaces }: Links,
  capture: DropCapture | undefined,
): readonly CauseFinding[] {
  // With the other end down this one has no link, which is link-down-tx.
  if (now.kind !== 'veth' || now.operstate !== 'up') return [];
  const counted = rise(before.txDropped, now.txDropped);
  const peer = now.lower;
  const peerMtu = peer === undefined ? undefined : interfaces.get(peer)?.mtu;
  const smaller = peerMtu !== undefined && peerMtu < now.mtu;
  // The same counter rises for a full input queue behind it (softnet-backlog): without the capture only the MTU tells.
  const packets =
    capture === undefined
      ? smaller
        ? counted
        : 0
      : Math.min(counted, packetsOf(dropsAt(capture, REFUSED, name)));
  if (packets === 0 || (peerMtu !== undefined && !smaller)) return [];
  const sent = rise(before.txPackets, now.txPackets);
  const other = peer ?? 'the other end';
  return [
    {
      kind: 'cause',
      confidence: smaller && capture !== undefined ? 'certain' : 'likely',
      packets,
      traffic: { packets: packets + sent, what: `packets sent through ${name}` },
      scope: { interface: name },
      because: [
        {
          source: `/sys/class/net/${name}/statistics/tx_dropped`,
          text: `${other} refused ${packets} packets of ${name}, ${sent} went through`,
          first: String(before.txDropped),
          last: String(now.txDropped),
        },
        {
          source: `ip -d link show ${name}`,
          text: `${name} is up and may send ${now.mtu} bytes${smaller ? `, ${other} takes ${peerMtu}` : ''}`,
          last: String(now.mtu),
        },
      ],
      means: smaller
        ? `${other} takes packets of ${peerMtu} bytes at most, but ${name} sends up to ${now.mtu}. Nobody is told: large packets just vanish.`
        : `The other end of ${name} is up, but refuses packets: its MTU is probably smaller than ${now.mtu}. It is in another network namespace (a container), where this report cannot look.`,
      rulesOut: [
        { id: 'link-down-tx', because: `${name} has had a link all the time` },
        ...(capture === undefined
          ? []
          : [{ id: 'softnet-backlog', because: 'a full input queue has a reason of its own' }]),
      ],
      fixes: [sameMtu(name, now.mtu, peerMtu)],
      claims: claimsAt(REFUSED, { interface: name, packets }),
    },
  ];
}

function sameMtu(name: string, mtu: number, peerMtu: number | undefined): Fix {
  return {
    id: `same-mtu-${name}`,
    title: `Give both ends of ${name} the same MTU`,
    risk: 'disruptive',
    cost: 'a smaller MTU costs some throughput; a larger one must fit the whole way behind it',
    takesEffect: 'at-once',
    steps:
      peerMtu === undefined
        ? [
            {
              kind: 'manual',
              text: `In the namespace of the other end compare its MTU with ${mtu} (ip link), and set both alike, here or in the configuration of the container network.`,
            },
          ]
        : [
            {
              kind: 'command',
              argv: ['ip', 'link', 'set', 'dev', name, 'mtu', String(peerMtu)],
              why: `as the other end has it, instead of ${mtu}`,
            },
          ],
    expect: {
      counter: `link ${name}.tx_dropped`,
      change: 'stops-rising',
      traffic: `link ${name}.tx_packets`,
    },
  };
}
