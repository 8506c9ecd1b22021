import drops from '../../checks/drops.ts';
import kernelLog from '../../checks/kernel-log.ts';
import lookups, { type Lookup } from '../../checks/lookups.ts';
import link, { type Links } from '../../checks/link.ts';
import snmp from '../../checks/snmp.ts';
import sysctl, { type Sysctl } from '../../checks/sysctl.ts';
import type { Sampled } from '../../src/model/check.ts';
import { rise } from '../../src/model/counter.ts';
import { countDrops, type DropCapture } from '../../src/model/drops.ts';
import type { Fix } from '../../src/model/fix.ts';
import { defineRule, type Observation } from '../../src/model/rule.ts';
import { interfaceKey } from '../../src/model/sysctl-key.ts';
import { sysctlStep } from '../../src/model/sysctl-step.ts';
import { dropsOf } from './evidence.ts';
import { lookupsFor, noEvidence, wayOf } from './route-evidence.ts';
import { kernelSaid } from '../kernel-messages.ts';

const STRICT = 1;
const LOOSE = 2;
/** The counters of an interface are not read at the same instant as the filter's: it must have had half as many packets. */
const SUSPECT_SHARE = 0.5;
/** More suspects than these are counted, not named. */
const NAMED_SUSPECTS = 3;

interface Suspect {
  readonly name: string;
  /** Of its own setting. */
  readonly key: string;
  /** The interface's own setting. */
  readonly own: number;
  /** What the kernel uses: the higher of `all` and the interface's own (IN_DEV_RPFILTER). */
  readonly effective: number;
  readonly rxPackets: number;
}

export default defineRule({
  id: 'ip-rpfilter',
  title: 'The reverse-path filter drops packets that came in by an unexpected interface',
  needs: { snmp, sysctl },
  wants: { drops, link, kernelLog, lookups },
  reviewed: '2026-11-22',
  explain: {
    see: 'One-way traffic on hosts with several interfaces, VPNs or policy routing, and lost multicast. tcpdump sees the packets, the program does not.',
    kernel:
      "For each packet that comes in, `fib_validate_source` (net/ipv4/fib_frontend.c) looks up the route back to its source. Strict mode (1) wants it to leave by the same interface; loose mode (2) wants any route to exist. The kernel uses the higher of `net.ipv4.conf.all.rp_filter` and the interface's own. A refused packet is dropped with the reason `IP_RPFILTER` and counted in `TcpExt IPReversePathFilter`.",
    confirm:
      '`nstat -az TcpExtIPReversePathFilter`; `ip route get SOURCE from DESTINATION iif INTERFACE` answers "Invalid cross-device link" ("Invalid argument" since 6.14); `ip route get SOURCE` shows the way back. `sysctl -w net.ipv4.conf.all.log_martians=1` logs the addresses for a while.',
    fix: 'Best: make routing symmetric (`ip rule`, a return route). Otherwise loose mode on that interface: `sysctl -w net.ipv4.conf.INTERFACE.rp_filter=2`. Setting `all` to 0 does not help while the interface itself is 1.',
    normal:
      'Strict mode is the right anti-spoofing filter on an Internet-facing router; a trickle of refused packets there is the filter at work.',
    references: [
      'net/ipv4/fib_frontend.c __fib_validate_source (Linux 6.18)',
      'include/linux/inetdevice.h IN_DEV_RPFILTER: maximum of all and interface',
      'Documentation/networking/ip-sysctl.rst, rp_filter',
    ],
  },
  judge({ snmp, sysctl, drops, link, kernelLog, lookups }) {
    const counter = 'TcpExt.IPReversePathFilter';
    const [first, last] = [snmp.first.counters.get(counter), snmp.last.counters.get(counter)];
    const packets = rise(first, last);
    if (packets === 0) return [];

    const refused = lookupsFor(lookups, dropsOf(drops, { reasons: ['IP_RPFILTER', null] }));
    const ways = refused.flatMap(waysBack);
    const suspects = seenOnly(suspectsOf(sysctl.last, link, packets), drops);
    const only = suspects.length === 1 ? suspects[0] : undefined;
    const seen = countDrops(drops, 'IP_RPFILTER');
    const received = rise(
      snmp.first.counters.get('Ip.InReceives'),
      snmp.last.counters.get('Ip.InReceives'),
    );
    return [
      {
        kind: 'cause',
        // The counter has one meaning. Without a filter in force it was switched off in the window.
        confidence: suspects.length > 0 ? 'certain' : 'likely',
        packets,
        traffic: { packets: received, what: 'IPv4 packets received' },
        scope: only === undefined ? {} : { interface: only.name },
        because: [
          {
            source: '/proc/net/netstat TcpExt IPReversePathFilter',
            text: `${packets} packets refused by the reverse-path filter`,
            first: String(first),
            last: String(last),
          },
          ...suspects.slice(0, NAMED_SUSPECTS).map(({ name, key, own, effective }) => ({
            source: key,
            text: `${modeName(effective)} mode is in force on ${name}: the higher of all = ${sysctl.last.number(allKey) ?? 'unknown'} and ${name} = ${own}`,
            last: String(own),
          })),
          ...(seen > 0
            ? [
                {
                  source: 'skb:kfree_skb',
                  text: `${seen} drops with the reason IP_RPFILTER on this machine`,
                },
              ]
            : []),
          ...refused.flatMap(wayBackText),
          ...kernelSaid(kernelLog, 'martian', only?.name),
        ],
        means: meaning(suspects, ways),
        rulesOut: [
          { id: 'nf-rule-drop', because: 'a firewall does not move this counter' },
          {
            id: 'ip-martian',
            because: 'packets with impossible addresses do not move this counter',
          },
        ],
        fixes: suspects.slice(0, NAMED_SUSPECTS).map((suspect) => fixFor(suspect, ways)),
        claims: [
          { reason: 'IP_RPFILTER', packets },
          {
            reason: null,
            location: ['ip_rcv_finish_core', 'ip_rcv_finish', 'ip_route_input_slow'],
            packets,
          },
        ],
      },
    ];
  },
});

const allKey = 'net.ipv4.conf.all.rp_filter';

/**
 * Interfaces with the filter in force that received enough in the window to be the one. The counter is
 * kept per namespace, so with several of them the traffic is the only clue.
 */
function suspectsOf(sysctl: Sysctl, link: Sampled<Links> | undefined, packets: number): Suspect[] {
  const all = sysctl.number(allKey) ?? 0;
  const names = link === undefined ? namesFromKeys(sysctl) : [...link.last.interfaces.keys()];
  return names
    .flatMap((name): Suspect[] => {
      const key = interfaceKey('net.ipv4.conf', name, 'rp_filter');
      const own = sysctl.forInterface('net.ipv4.conf', name, 'rp_filter');
      if (key === undefined || own === undefined || name === 'lo') return [];
      const before = link?.first.interfaces.get(name)?.rxPackets;
      const after = link?.last.interfaces.get(name)?.rxPackets;
      const rxPackets = link === undefined ? packets : rise(before, after);
      return [{ name, key, own, effective: Math.max(all, own), rxPackets }];
    })
    .filter(
      ({ effective, rxPackets }) => effective >= STRICT && rxPackets >= packets * SUSPECT_SHARE,
    )
    .sort((a, b) => b.rxPackets - a.rxPackets);
}

/** Of these, the ones where the capture saw it. All, where it does not tell interfaces. */
function seenOnly(
  suspects: readonly Suspect[],
  drops: DropCapture | undefined,
): readonly Suspect[] {
  const events = dropsOf(drops, { reasons: ['IP_RPFILTER'] });
  const seen = suspects.filter(({ name }) =>
    events.some(({ details }) => details?.interface === name),
  );
  return seen.length === 0 ? suspects : seen;
}

function namesFromKeys(sysctl: Sysctl): string[] {
  return [...sysctl.values.keys()]
    .map((key) => /^net\.ipv4\.conf\.([^.]+)\.rp_filter$/.exec(key)?.[1]?.replaceAll('/', '.'))
    .filter((name): name is string => name !== undefined && !['all', 'default'].includes(name));
}

function modeName(effective: number): string {
  return effective === STRICT ? 'strict' : 'loose';
}

interface WayBack {
  /** By which the packets came in. */
  readonly interface: string | null;
  /** Another interface leads there. */
  readonly exists: boolean;
}

/** Why the filter refuses a flow. Nothing where it would not now. */
function waysBack({ interface: name, wayBack }: Lookup): readonly WayBack[] {
  const back = wayBack?.answer;
  if (back === undefined) return [];
  if (back.kind === 'error') return [{ interface: name, exists: false }];
  return back.local || back.device === name ? [] : [{ interface: name, exists: true }];
}

function wayBackText(lookup: Lookup): readonly Observation[] {
  const { source, interface: name, command, answer, wayBack } = lookup;
  if (wayBack === undefined) {
    return answer.kind === 'route' ? [{ source: command, text: noEvidence(answer) }] : [];
  }
  const back = wayBack.answer;
  if (waysBack(lookup).length === 0) return [];
  const way =
    back.kind === 'route'
      ? `but the way back to ${source} ${wayOf(back)}`
      : `and there is no way back to ${source} (${back.text})`;
  return [{ source: wayBack.command, text: `packets from ${source} came in on ${name}, ${way}` }];
}

/** None of them has a way back: loose mode refuses these as well. */
function haveNoWayBack(name: string, ways: readonly WayBack[]): boolean {
  const here = ways.filter((way) => way.interface === name);
  return here.length > 0 && here.every(({ exists }) => !exists);
}

function meaning(suspects: readonly Suspect[], ways: readonly WayBack[]): string {
  const [only, second] = suspects;
  if (only === undefined) {
    return 'Packets came in by an interface that the route back to their source does not use. No interface with that much traffic has the filter in force now: it was switched off while measuring, or the interface is gone.';
  }
  if (second !== undefined) {
    const names = suspects.slice(0, NAMED_SUSPECTS).map(({ name }) => name);
    const more = suspects.length - names.length;
    return `Packets came in by an interface that the route back to their source does not use. The kernel does not count which one: it is one of ${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}.`;
  }
  if (haveNoWayBack(only.name, ways)) {
    return `Packets came in by ${only.name} from sources to which this host has no way back; ${modeName(only.effective)} mode refuses them${only.effective === STRICT ? ', and loose mode would as well' : ''}.`;
  }
  return only.effective === STRICT
    ? `Packets came in by ${only.name}, but the route back to their source does not lead out of it, and strict mode refuses that.`
    : `Packets came in by ${only.name} from sources to which this host has no route at all, or ${only.name} has no address; loose mode refuses only those.`;
}

function fixFor({ name, key, own, effective }: Suspect, ways: readonly WayBack[]): Fix {
  if (effective >= LOOSE || haveNoWayBack(name, ways)) {
    return {
      id: `route-back-${name}`,
      title: `Give the host a route to the senders behind ${name}`,
      risk: 'disruptive',
      cost: 'a wrong route misdirects traffic',
      takesEffect: 'at-once',
      steps: [
        {
          kind: 'manual',
          text: `${effective >= LOOSE ? `Loose mode drops only what has no route back, or no address on ${name}.` : 'There is no way back to these senders, and loose mode refuses such packets as well.'} Find the sources (tcpdump -ni ${name}), then add the missing route (ip route add SOURCE-NETWORK via GATEWAY dev ${name}) or an address. Another rp_filter value is not the cure.`,
        },
      ],
    };
  }
  return {
    id: `loose-mode-${name}`,
    title: `Accept packets on ${name} whose way back is another interface (loose mode)`,
    risk: 'caution',
    cost: `${name} accepts any source address that has a route at all: weaker against spoofing. Symmetric routing (ip rule) is the better cure where you can have it`,
    takesEffect: 'at-once',
    steps: [sysctlStep(key, own, LOOSE)],
    expect: {
      counter: 'snmp TcpExt.IPReversePathFilter',
      change: 'stops-rising',
      traffic: 'snmp Ip.InReceives',
    },
  };
}
