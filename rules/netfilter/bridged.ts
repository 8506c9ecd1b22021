import type { Links } from '../../checks/link.ts';
import type { Snmp } from '../../checks/snmp.ts';
import type { Sysctl } from '../../checks/sysctl.ts';
import type { Sampled } from '../../src/model/check.ts';
import { EtherType, packetsOf, type DropCapture } from '../../src/model/drops.ts';
import { bridgePorts } from '../l2/bridge-ports.ts';
import { dropsWhere, rises } from '../protocol-counters.ts';
import { lostInward } from './ip-gaps.ts';
import { dropReason, isOfBridge, type CountedRefuser, type Refusals } from './refusals.ts';

/** Frames from one port of a bridge to another that the firewall for IP packets refused (br_netfilter). */
export interface BridgedRefusals {
  readonly packets: number;
  /** The ports they were to leave by. Undefined: the capture does not tell interfaces. */
  readonly ports: readonly string[] | undefined;
}

interface Evidence {
  readonly link: Sampled<Links> | undefined;
  readonly sysctl: Sampled<Sysctl> | undefined;
  readonly drops: DropCapture | undefined;
  readonly snmp: Sampled<Snmp> | undefined;
}

export const CALL_KEYS: ReadonlyMap<number, string> = new Map([
  [EtherType.IPv4, 'net.bridge.bridge-nf-call-iptables'],
  [EtherType.IPv6, 'net.bridge.bridge-nf-call-ip6tables'],
]);

const NONE: BridgedRefusals = { packets: 0, ports: undefined };

/**
 * At the forward hook a bridged frame already has the port it is to leave by as its device (`__br_forward`,
 * net/bridge/br_forward.c, Linux 6.18); a routed packet never has a bridge port, but the bridge itself. Without
 * a capture that tells devices: what rules of the forward hook counted, but the IP layer did not forward.
 */
export function bridgedRefusals(
  refusals: Refusals,
  { link, sysctl, drops, snmp }: Evidence,
): BridgedRefusals {
  const protocols = [...CALL_KEYS].flatMap(([protocol, key]) =>
    sysctl?.last.number(key) === 1 ? [protocol] : [],
  );
  const ports = link === undefined ? [] : bridgePorts(link).map(({ name }) => name);
  if (drops === undefined || protocols.length === 0 || ports.length < 2) return NONE;

  const reason = dropReason(drops);
  const refused = dropsWhere(
    drops,
    (drop) => drop.reason === reason && protocols.includes(drop.protocol),
  );
  if (refused.drops.some(({ details }) => details !== undefined)) {
    const atPorts = refused.drops.flatMap((drop) => {
      const name = drop.details?.interface ?? '';
      return ports.includes(name)
        ? [{ name, packets: drop.packets, edgePackets: drop.edgePackets }]
        : [];
    });
    const frames = packetsOf(atPorts);
    const atEdges = atPorts.reduce((sum, { edgePackets }) => sum + edgePackets, 0);
    return {
      packets: ofIp({ frames, atEdges }, refused.packets - frames, refusals),
      ports: [...new Set(atPorts.map(({ name }) => name))],
    };
  }
  if (snmp === undefined) return NONE;
  const routed =
    rises(snmp, ['Ip.ForwDatagrams', 'Ip6.OutForwDatagrams']) +
    protocols.reduce((sum, protocol) => sum + lostInward(snmp, protocol), 0);
  const bridged = Math.max(0, countedAtForward(refusals) - routed);
  return { packets: Math.min(refused.packets, bridged), ports: undefined };
}

/**
 * Rules of the bridge itself drop at the same place. Where one of them does not count, only the counters of the others
 * tell, as far as no other drop accounts for them.
 */
function ofIp(
  { frames, atEdges }: { readonly frames: number; readonly atEdges: number },
  otherDrops: number,
  refusals: Refusals,
): number {
  const counted = packetsOf(refusals.counted.filter((refuser) => isOfBridge(refuser)));
  // Those at the edges of the window the rules of the bridge may have counted before or after it.
  const left = Math.max(0, frames - counted - (counted > 0 ? atEdges : 0));
  return refusals.uncounted.some((refuser) => isOfBridge(refuser))
    ? Math.min(left, Math.max(0, countedAtForward(refusals) - otherDrops))
    : left;
}

function countedAtForward({ counted }: Refusals): number {
  return packetsOf(counted.filter((refuser) => meetsBridged(refuser)));
}

/** Whether it can have met them: prerouting and input look alike for what is bridged and for what is not. */
export function meetsBridged({ entry, hooks }: Pick<CountedRefuser, 'entry' | 'hooks'>): boolean {
  return (
    !isOfBridge({ entry }) && hooks.some((hook) => hook === 'forward' || hook === 'postrouting')
  );
}

/** The same without what was bridged, for which there is a cause of its own. */
export function withoutBridged(refusals: Refusals, bridged: number): Refusals {
  let left = bridged;
  const counted = refusals.counted.map((refuser) => {
    if (!meetsBridged(refuser)) return refuser;
    const taken = Math.min(left, refuser.packets);
    left -= taken;
    return { ...refuser, packets: refuser.packets - taken };
  });
  return { ...refusals, counted: counted.filter(({ packets }) => packets > 0) };
}
