import type { FirewallPolicy, FirewallRule, Hook } from '../../../checks/firewall.ts';

/**
 * Where packets meet rules. The hooks of a bridge and of ARP are named like those of the IP layer, but lie elsewhere;
 * those of a device, ingress and egress, are for packets of all kinds.
 */
export type Place = Hook | `bridge ${Hook}` | `arp ${Hook}`;

export function placeOf(
  { family }: Pick<FirewallRule | FirewallPolicy, 'family'>,
  hook: Hook,
): Place {
  return family === 'bridge' || family === 'arp' ? `${family} ${hook}` : hook;
}

/** What the captured device of a packet (`skb->dev`) says of the one it came by, or leaves by, at a hook. */
type Told = 'captured' | 'none' | 'untold';

interface Devices {
  readonly in: Told;
  readonly out: Told;
}

const CAME_BY: Devices = { in: 'captured', out: 'none' };
const LEAVES_BY: Devices = { in: 'none', out: 'captured' };

/**
 * In the order in which a packet meets them, with the devices that rules see there (struct nf_hook_state, Linux 6.18).
 * Until `ip_output` a packet has the device that it came by: by which it is to be forwarded, only its route says. A
 * bridge sets the port before its forward hook (`__br_forward`), and itself before its input hook (`br_pass_frame_up`).
 */
const DEVICES = new Map<Place, Devices>([
  ['ingress', CAME_BY],
  ['bridge prerouting', CAME_BY],
  ['bridge input', { in: 'untold', out: 'none' }],
  ['arp input', CAME_BY],
  ['prerouting', CAME_BY],
  ['input', CAME_BY],
  ['forward', { in: 'captured', out: 'untold' }],
  ['output', LEAVES_BY],
  ['postrouting', { in: 'untold', out: 'captured' }],
  ['arp output', LEAVES_BY],
  ['bridge forward', { in: 'untold', out: 'captured' }],
  ['bridge output', LEAVES_BY],
  ['bridge postrouting', LEAVES_BY],
  ['egress', LEAVES_BY],
]);

export const PLACES: readonly Place[] = [...DEVICES.keys()];

export function deviceAt(place: Place, direction: keyof Devices): Told {
  return DEVICES.get(place)?.[direction] ?? 'untold';
}

/** A packet meets rules of the IP layer there. */
export function isOfIp(place: Place): boolean {
  return /^(prerouting|input|forward|output|postrouting)$/.test(place);
}
