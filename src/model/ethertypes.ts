import { EtherType } from './drops.ts';

/** include/uapi/linux/if_ether.h; those below 0x0600 are the kernel's own numbers for frames without a type. */
const names: ReadonlyMap<number, string> = new Map([
  [EtherType.None, 'no protocol'],
  [0x0001, 'Novell 802.3'],
  [0x0003, 'any protocol'],
  [EtherType.LLC, 'LLC'],
  [EtherType.IPv4, 'IPv4'],
  [EtherType.ARP, 'ARP'],
  [0x4305, 'batman-adv'],
  [0x6002, 'DEC MOP'],
  [0x8035, 'RARP'],
  [0x8100, 'VLAN'],
  [0x8137, 'IPX'],
  [EtherType.IPv6, 'IPv6'],
  [0x8808, 'pause frame'],
  [0x8809, 'LACP'],
  [0x8847, 'MPLS'],
  [0x8848, 'MPLS multicast'],
  [0x8863, 'PPPoE discovery'],
  [0x8864, 'PPPoE'],
  [0x887b, 'HomePlug'],
  [0x888e, '802.1X'],
  [0x8899, 'Realtek loop detection'],
  [0x88a2, 'ATA over Ethernet'],
  [0x88a8, '802.1ad VLAN'],
  [0x88cc, 'LLDP'],
  [0x88e1, 'HomePlug AV'],
  [0x88e5, 'MACsec'],
  [0x88f7, 'PTP'],
  [0x8902, 'Ethernet OAM'],
  [0x894f, 'NSH'],
  [0x9000, 'Ethernet loopback test'],
]);

/** `IPv4`, or `EtherType 0x1234` where there is no name for it. */
export function etherTypeName(protocol: number): string {
  return names.get(protocol) ?? etherTypeNumber(protocol);
}

/** `EtherType 0x0800` */
export function etherTypeNumber(protocol: number): string {
  return `EtherType 0x${protocol.toString(16).padStart(4, '0')}`;
}
