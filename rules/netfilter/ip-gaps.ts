import type { Snmp } from '../../checks/snmp.ts';
import type { Sampled } from '../../src/model/check.ts';
import { rise } from '../../src/model/counter.ts';
import { EtherType } from '../../src/model/drops.ts';
import { isOfIp, PLACES, type Place } from './match/places.ts';

/** Packets of this namespace that got lost between two points, uncounted. */
export interface Gap {
  readonly protocol: number;
  /** Where packets meet rules between the two points. */
  readonly places: readonly Place[];
  packets: number;
  /** Absent: no counter tells of them, so `packets` is no bound, and none but rules that a flow meets are suspects. */
  readonly text?: string;
}

/** Whatever rules refuse before, behind or beside the IP layer: at a device, in a bridge, of ARP. */
export function besideIp(protocol: number): Gap {
  return { protocol, places: PLACES.filter((place) => !isOfIp(place)), packets: Infinity };
}

/**
 * Where packets vanished in this namespace's IP layer. A captured drop does not tell its namespace;
 * these counters do, and bound what a firewall without counters can have dropped here.
 *
 * Measured with 50 packets against each hook, IPv4 and IPv6 alike (6.1: IPv4 only):
 *
 * | hook that drops            | Linux 6.18                                         | Linux 6.1        |
 * |----------------------------|----------------------------------------------------|------------------|
 * | prerouting, input          | InReceives +50                                     | the same (input) |
 * | forward, postrouting later | InReceives +50, ForwDatagrams +50, OutTransmits +0 | InReceives +50   |
 * | output, postrouting        | OutRequests +50, OutDiscards +50, OutTransmits +0  | OutDiscards +50  |
 * | netdev ingress             | nothing                                            |                  |
 * | netdev egress              | all as if it had been sent                         |                  |
 * | bridge, on the way in      | nothing                                            |                  |
 * | bridge, on the way out     | all as if it had been sent                         |                  |
 *
 * So where OutTransmits exists, ForwDatagrams is counted before the forward hook, and elsewhere
 * after it. OutDiscards tells of UDP, ICMP and raw sockets only: TCP gets the error in ip_queue_xmit.
 */
export function ipGaps(snmp: Sampled<Snmp>): Gap[] {
  return versions.flatMap((version) => gapsOf(version, snmp));
}

interface Version {
  readonly name: string;
  readonly protocol: number;
  readonly prefix: 'Ip' | 'Ip6';
  readonly forwarded: string;
  /** Received, not delivered, not forwarded, but counted. */
  readonly inputErrors: readonly string[];
}

const versions: readonly Version[] = [
  {
    name: 'IPv4',
    protocol: EtherType.IPv4,
    prefix: 'Ip',
    forwarded: 'Ip.ForwDatagrams',
    inputErrors: [
      'Ip.InHdrErrors',
      'Ip.InAddrErrors',
      'Ip.InUnknownProtos',
      'Ip.InDiscards',
      'IpExt.InNoRoutes',
      'IpExt.InTruncatedPkts',
      'TcpExt.IPReversePathFilter',
    ],
  },
  {
    name: 'IPv6',
    protocol: EtherType.IPv6,
    prefix: 'Ip6',
    forwarded: 'Ip6.OutForwDatagrams',
    inputErrors: [
      'Ip6.InHdrErrors',
      'Ip6.InTooBigErrors',
      'Ip6.InNoRoutes',
      'Ip6.InAddrErrors',
      'Ip6.InUnknownProtos',
      'Ip6.InTruncatedPkts',
      'Ip6.InDiscards',
    ],
  },
];

function gapsOf({ name, protocol, prefix, forwarded, inputErrors }: Version, snmp: Sampled<Snmp>) {
  const counter = (key: string) => rise(snmp.first.counters.get(key), snmp.last.counters.get(key));
  const own = (key: string) => counter(`${prefix}.${key}`);
  const countsTransmits = snmp.last.counters.has(`${prefix}.OutTransmits`);

  const errors = inputErrors.reduce((sum, key) => sum + counter(key), 0);
  // Of the fragments of one packet, one (the whole) is delivered.
  const reassembled = own('ReasmReqds') - own('ReasmOKs');
  const lostInward =
    own('InReceives') - own('InDelivers') - counter(forwarded) - errors - reassembled;
  // One packet becomes several fragments, and each is transmitted.
  const refragmented = own('FragCreates') - own('FragOKs') - own('FragFails');
  const lostOutward = countsTransmits
    ? own('OutRequests') + counter(forwarded) - own('OutTransmits') + refragmented
    : own('OutDiscards');
  // Told to the sender: these were local, not forwarded.
  const allLocal = counter(forwarded) === 0 || own('OutDiscards') >= lostOutward;
  const outwardPlaces: readonly Place[] =
    countsTransmits && !allLocal ? ['forward', 'output', 'postrouting'] : ['output', 'postrouting'];

  const gap = (places: readonly Place[], packets: number, text: string): Gap => ({
    protocol,
    places,
    packets: Math.max(0, packets),
    text: `${Math.max(0, packets)} ${name} packets ${text}`,
  });
  return [
    gap(
      countsTransmits ? ['prerouting', 'input'] : ['prerouting', 'input', 'forward'],
      lostInward,
      'came in, but were neither delivered, nor forwarded, nor counted as an error',
    ),
    gap(outwardPlaces, lostOutward, 'were to be sent or forwarded, but did not reach a device'),
    gap(
      ['egress'],
      countsTransmits ? own('OutDiscards') - Math.max(0, lostOutward) : 0,
      'were discarded at the device',
    ),
  ];
}

/** Packets that came in and vanished in the IP layer of this namespace without a counter of their own. */
export function lostInward(snmp: Sampled<Snmp>, protocol: number): number {
  return ipGaps(snmp)
    .filter((gap) => gap.protocol === protocol && gap.places.includes('prerouting'))
    .reduce((sum, { packets }) => sum + packets, 0);
}

/** Takes `packets` off the gaps they fell into, as far as that can be told. */
export function closeGaps(
  gaps: readonly Gap[],
  packets: number,
  places: readonly Place[],
  protocols: readonly number[],
): void {
  let left = packets;
  for (const gap of gaps.filter((gap) => fits(gap, places, protocols))) {
    const taken = Math.min(left, gap.packets);
    gap.packets -= taken;
    left -= taken;
  }
}

/** @param protocols EtherTypes; empty: any. */
export function fits(gap: Gap, places: readonly Place[], protocols: readonly number[]): boolean {
  return (
    places.some((place) => gap.places.includes(place)) &&
    (protocols.length === 0 || protocols.includes(gap.protocol))
  );
}
