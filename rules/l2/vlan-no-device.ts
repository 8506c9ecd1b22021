import drops from '../../checks/drops.ts';
import link, { otherhostRise, type Links } from '../../checks/link.ts';
import {
  EtherType,
  type DropCapture,
  type DropCount,
  type DropFlow,
  packetsOf,
} from '../../src/model/drops.ts';
import { rise } from '../../src/model/counter.ts';
import { defineRule, type CauseFinding, type JudgeWindow } from '../../src/model/rule.ts';
import { parseAddress, type Quantity } from '../netfilter/match/intervals.ts';
import { isChatter } from './chatter.ts';
import { dropsAt, settledLinks, type SettledLink } from './device-drops.ts';

const OTHERHOST = {
  reasons: ['OTHERHOST'],
  locations: ['ip_rcv_core', 'ip_rcv', 'ip6_rcv_core', 'ipv6_rcv'],
};
const ETHERNET_BYTES = 14;

export default defineRule({
  id: 'vlan-no-device',
  title: 'Frames of a VLAN for which there is no interface',
  needs: { link, drops },
  reviewed: '2026-11-22',
  explain: {
    see: 'A VLAN does not work, though tcpdump shows that its frames arrive. `otherhost` of `ip -s -s link` rises (kernel 5.19).',
    kernel:
      'A frame with a VLAN tag for which there is no VLAN interface keeps its tag, and `__netif_receive_skb_core` (net/core/dev.c) marks it as one for another host. `ip_rcv_core` then drops it: `OTHERHOST`, although the MAC address is ours. VLAN 0 is only a priority, and is taken.',
    confirm:
      '`tcpdump -eni INTERFACE vlan` shows the tags and addresses; `ip -d link show type vlan` lists the VLANs that this host takes part in.',
    fix: 'Make the interface (`ip link add link INTERFACE name INTERFACE.100 type vlan id 100`), or let the switch send that VLAN untagged or not at all.',
    normal:
      'Broadcasts of foreign VLANs on a trunk. Frames for the address of this host are sent by somebody who wants it.',
    references: ['net/core/dev.c __netif_receive_skb_core, check_vlan_id (Linux 6.18)'],
  },
  judge({ link, drops }, window) {
    return settledLinks(link).flatMap((device) => finding(device, drops, link.last, window));
  },
});

/** Numbers of the VLANs that have an interface. */
function vlansOn(name: string, { interfaces }: Links): readonly number[] {
  return [...interfaces.values()].flatMap(({ lower, vlanId }) =>
    lower === name && vlanId !== undefined ? [vlanId] : [],
  );
}

function finding(
  { name, before, now }: SettledLink,
  capture: DropCapture,
  links: Links,
  window: JudgeWindow,
): readonly CauseFinding[] {
  const { address } = now;
  if (address === undefined) return [];
  // Only a capture that tells the interface and shows frames can tell these from frames for others.
  const seen = dropsAt(capture, OTHERHOST, name)
    .filter(({ details }) => details?.interface === name)
    .map((drop) => seenFor(address, drop));
  const packets = Math.min(packetsOf(seen), otherhostRise(before, now) ?? Infinity);
  if (isChatter(packets, window)) return [];
  const vlans = vlansOn(name, links);
  return [
    {
      kind: 'cause',
      confidence: 'likely',
      packets,
      traffic: {
        packets: Math.max(packets, rise(before.rxPackets, now.rxPackets)),
        what: `frames received by ${name}`,
      },
      severityAtMost: 'warning',
      scope: { interface: name },
      because: [
        {
          source: `ip -s -s link show ${name}, otherhost`,
          text: `${packets} frames were dropped as if for another host, though they carried the address of ${name} (${address})`,
          first: String(before.rxOtherhost ?? 0n),
          last: String(now.rxOtherhost ?? 0n),
        },
        {
          source: 'ip -d link show type vlan',
          text:
            vlans.length === 0 ? `${name} has no VLANs` : `VLANs on ${name}: ${vlans.join(', ')}`,
        },
      ],
      means: `Somebody sends to ${name} in a VLAN for which it has no interface: the VLAN is missing here, or the switch tags what should come untagged.`,
      rulesOut: [
        {
          id: 'l2-otherhost',
          because: 'the destination address of these frames is that of this host',
        },
      ],
      fixes: [
        {
          id: `add-vlan-${name}`,
          title: `Make the VLAN interface on ${name}, or change the switch port`,
          risk: 'disruptive',
          cost: 'the host takes part in one more network: address and firewall must fit',
          takesEffect: 'at-once',
          steps: [
            {
              kind: 'manual',
              text: `Find the number of the VLAN: tcpdump -eni ${name} vlan. Then: ip link add link ${name} name ${name}.NUMBER type vlan id NUMBER, or let the switch remove the tag.`,
            },
          ],
        },
      ],
      claims: [
        { reason: OTHERHOST.reasons, location: OTHERHOST.locations, interface: name, packets },
      ],
      flows: seen.flatMap(({ flows }) => flows),
    },
  ];
}

/**
 * What of these had this hardware address. Only the first frames are kept, and others may come beside them (a capture
 * runs, in promiscuous mode): it is what goes to the same IP addresses as frames that had it.
 */
function seenFor(
  address: string,
  { packets, protocol, details }: DropCount,
): { readonly packets: number; readonly flows: readonly DropFlow[] } {
  const { samples = [], topFlows = [] } = details ?? {};
  const mac = address.replaceAll(':', '').toLowerCase();
  const frames = samples
    .filter(({ link }) => link === 'ethernet')
    .map(({ bytes }) => Buffer.from(bytes, 'base64').toString('hex'));
  const ours = frames.filter((frame) => frame.startsWith(mac));
  const destinations = new Set(ours.map((frame) => destinationOf(frame, protocol)));
  const flows = topFlows.filter(({ destination }) => {
    const parsed = parseAddress(destination);
    return parsed !== undefined && destinations.has(parsed);
  });
  // Of more flows than are known, the same share.
  const share = packetsOf(flows) / Math.max(packetsOf(topFlows), 1);
  return { packets: Math.round(packets * share), flows };
}

/** @param frame of IP, in hexadecimal, as it comes to the IP layer: without tags */
function destinationOf(frame: string, protocol: number): Quantity | undefined {
  const header = frame.slice(2 * ETHERNET_BYTES);
  const [from, to] = protocol === EtherType.IPv6 ? [24, 40] : [16, 20];
  const address = header.slice(2 * from, 2 * to);
  if (address.length < 2 * (to - from)) return undefined;
  return protocol === EtherType.IPv6 ? BigInt(`0x${address}`) : Number.parseInt(address, 16);
}
