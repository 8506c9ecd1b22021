import drops from '../../checks/drops.ts';
import link, { otherhostRise, type Link } from '../../checks/link.ts';
import { rise } from '../../src/model/counter.ts';
import { defineRule, type CauseFinding } from '../../src/model/rule.ts';

/** Of what an interface receives: a switch that forgot an address now and then sends less to everybody. */
const FLOODING_SHARE = 0.01;
/** So that one in a hundred is a whole frame: in fewer, a share says nothing. */
const FLOODING_FRAMES = 100;
/** Interfaces that get frames for others by design: no address filter, or one that others share. */
const UNFILTERED_KINDS: ReadonlySet<string> = new Set([
  'veth',
  'bridge',
  'macvlan',
  'macvtap',
  'ipvlan',
  'tun',
  'bond',
  'team',
]);

export default defineRule({
  id: 'l2-otherhost',
  title: 'Frames for other hosts or VLANs arrive',
  needs: { link },
  wants: { drops },
  reviewed: '2026-11-22',
  explain: {
    see: '`otherhost` of `ip -s -s link` rises.',
    kernel:
      'A card takes in frames for other addresses if it is in promiscuous mode or belongs to a bridge. `ip_rcv_core` (net/ipv4/ip_input.c) drops them: `OTHERHOST`. Frames of a VLAN for which there is no interface end the same way, though the address is right.',
    confirm:
      '`ip -d link` shows promiscuity and VLAN interfaces; `tcpdump -eni INTERFACE` shows addresses and VLAN tags.',
    fix: 'None for a capture or a bridge. Otherwise: create the VLAN interface if this host should be in that VLAN; correct static neighbour entries; let the switch remember addresses longer than the hosts do.',
    normal:
      'While a capture runs, on bridge ports, on veth pairs (they filter no addresses), and on trunks that carry VLANs of others.',
    references: [
      'net/ipv4/ip_input.c ip_rcv_core (Linux 6.18)',
      'net/core/dev.c __netif_receive_skb_core, VLAN tags left over (Linux 6.18)',
    ],
  },
  judge({ link }) {
    const flooded = [...link.last.interfaces].flatMap(([name, now]) => {
      const finding = flooding(name, link.first.interfaces.get(name), now);
      return finding === undefined ? [] : [finding];
    });
    return [
      {
        kind: 'benign',
        text: 'Frames for other hosts or VLANs, as captures, bridges and veth pairs get them.',
        claims: [{ reason: 'OTHERHOST' }],
      },
      ...flooded,
    ];
  },
});

/** The frames were for somebody else: no packets of this host are lost by that. */
function flooding(name: string, before: Link | undefined, now: Link): CauseFinding | undefined {
  const frames = otherhostRise(before, now) ?? 0;
  const received = rise(before?.rxPackets, now.rxPackets);
  const byDesign =
    (now.promiscuity ?? 0) > 0 || now.master !== undefined || UNFILTERED_KINDS.has(now.kind ?? '');
  if (byDesign || frames < FLOODING_FRAMES || frames <= received * FLOODING_SHARE) return undefined;
  return {
    kind: 'cause',
    confidence: 'possible',
    packets: 0,
    severityAtMost: 'notice',
    scope: { interface: name },
    because: [
      {
        source: `ip -s -s link show ${name}, otherhost`,
        text: `${frames} of ${received} frames received were for other hosts or VLANs`,
        first: String(before?.rxOtherhost ?? 0n),
        last: String(now.rxOtherhost ?? 0n),
      },
    ],
    means: `${name} gets many frames for other addresses, or of VLANs it has no interface for, and no capture asks for them. If traffic for this host is missing, a neighbour may use an old address, or a VLAN interface is missing.`,
    rulesOut: [],
    fixes: [],
    claims: [],
  };
}
