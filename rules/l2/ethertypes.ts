import { EtherType } from '../../src/model/drops.ts';

/**
 * Protocols that switches and neighbours send to everybody, and that a host without the matching daemon
 * rightly ignores.
 */
export const chatter: ReadonlySet<number> = new Set([
  // Spanning tree, CDP, VTP: frames with a length instead of a type.
  EtherType.LLC,
  0x8809, // LACP and other slow protocols
  0x8808, // pause frame
  0x88cc, // LLDP
  0x88f7, // PTP
  0x8863, // PPPoE discovery
  0x8899, // Realtek loop detection
  0x887b, // HomePlug
  0x88e1, // HomePlug AV
  0x88e5, // MACsec
  0x888e, // 802.1X
  0x8902, // Ethernet OAM
  0x9000, // Ethernet loopback test
  0x8137, // IPX
  0x6002, // DEC MOP
  0x88a2, // ATA over Ethernet
]);

/** Handlers of protocols that carry somebody's traffic: if they arrive, somebody may expect them to work. */
export const modules: ReadonlyMap<number, string> = new Map([
  [0x8847, 'mpls_router'],
  [0x8848, 'mpls_router'],
  [0x8864, 'pppoe'],
  [0x88a8, '8021q'],
  [0x8100, '8021q'],
  [0x4305, 'batman-adv'],
  [0x894f, 'nsh'],
]);
