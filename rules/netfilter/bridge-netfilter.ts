import drops from '../../checks/drops.ts';
import firewall from '../../checks/firewall.ts';
import link from '../../checks/link.ts';
import snmp from '../../checks/snmp.ts';
import sysctl, { type Sysctl } from '../../checks/sysctl.ts';
import type { Fix } from '../../src/model/fix.ts';
import { defineRule, type Observation } from '../../src/model/rule.ts';
import { bridgePorts, receivedBy } from '../l2/bridge-ports.ts';
import { policySeverity } from '../protocol-counters.ts';
import { acceptFix } from './accept-fix.ts';
import { bridgedRefusals, CALL_KEYS, meetsBridged } from './bridged.ts';
import {
  dropReason,
  dropSites,
  nameOf,
  refusalsOf,
  sourceOf,
  type CountedRefuser,
  type Refusals,
  type UncountedRefuser,
} from './refusals.ts';

/** More rules than these are counted, not named. */
const NAMED_RULES = 4;
const NOTHING: Refusals = { counted: [], uncounted: [] };

export default defineRule({
  id: 'bridge-netfilter',
  title: 'The firewall for IP packets drops frames between two ports of a bridge',
  needs: { drops, link, sysctl },
  wants: { firewall, snmp },
  reviewed: '2026-11-22',
  explain: {
    see: 'Virtual machines or containers on one bridge cannot reach each other, often since Docker was installed. ARP works, and nothing is routed.',
    kernel:
      'With `net.bridge.bridge-nf-call-iptables=1`, the default of br_netfilter, `br_nf_forward` (net/bridge/br_netfilter_hooks.c) hands each IP packet that goes from one bridge port to another to the rules of the IP hooks, as if it were routed. A policy `DROP` of the chain FORWARD, which Docker sets, then drops it: `NETFILTER_DROP` at `nf_hook_slow` or `nft_do_chain`. Counters of the IP layer do not move.',
    confirm:
      '`sysctl net.bridge.bridge-nf-call-iptables net.bridge.bridge-nf-call-ip6tables`; `iptables -vnL FORWARD` or `nft list ruleset` twice, and look which counter moved; `bridge link` lists the ports.',
    fix: 'Let the traffic pass in the chain that is meant for it (with Docker: DOCKER-USER), by the names of the bridge: `iptables -I DOCKER-USER -i br0 -o br0 -j ACCEPT`. On a host where nothing filters bridged traffic on purpose: `sysctl -w net.bridge.bridge-nf-call-iptables=0`. Kubernetes and the isolation of Docker networks need it to be 1.',
    normal:
      'Where a firewall keeps the guests of one bridge apart on purpose (Docker `icc=false`).',
    references: [
      'net/bridge/br_netfilter_hooks.c br_nf_forward (Linux 6.18)',
      'Documentation/networking/ip-sysctl.rst, bridge-nf-call-iptables',
    ],
  },
  judge({ drops, link, sysctl, firewall, snmp }, window) {
    const refusals = firewall === undefined ? NOTHING : refusalsOf(firewall);
    const { packets, ports } = bridgedRefusals(refusals, { link, sysctl, drops, snmp });
    if (packets === 0) return [];
    const suspects = [...refusals.counted, ...refusals.uncounted].filter((one) =>
      meetsBridged(one),
    );
    if (suspects.length === 0 && firewall?.last.unseen.length === 0) return [];
    const [first] = suspects;
    const only = suspects.length === 1 ? first : undefined;
    const received = receivedBy(bridgePorts(link));
    return [
      {
        kind: 'cause',
        confidence: ports === undefined ? 'likely' : 'certain',
        packets,
        traffic: { packets: Math.max(received, packets), what: 'frames that came to a bridge' },
        severityAtMost: policySeverity(packets, window),
        scope: only === undefined ? {} : { rule: nameOf(only.entry) },
        because: [
          ports === undefined
            ? {
                source: 'nft -a list ruleset, iptables-save -c, /proc/net/snmp Ip ForwDatagrams',
                text: `${packets} packets met rules for forwarded packets, but the IP layer did not forward them: they were bridged`,
              }
            : {
                source: 'skb:kfree_skb',
                text: `${packets} frames were refused by the firewall on their way to ${ports.join(', ')}, a port of a bridge`,
              },
          ...handedOver(sysctl.last),
          ...suspects.slice(0, NAMED_RULES).map((one) => observed(one)),
          ...(firewall?.last.unseen ?? []).map((text) => ({ source: 'firewall', text })),
        ],
        means: `The kernel hands what passes from one port of a bridge to another to the firewall for routed packets, and ${only === undefined ? 'a rule or policy there' : nameOf(only.entry)} refuses it. It is a fault only if these hosts should reach each other.`,
        rulesOut: [
          {
            id: 'nf-rule-drop',
            because: 'the rule was not made for these: they are bridged, not routed',
          },
          { id: 'bridge-no-target', because: 'the bridge had a port for them' },
        ],
        fixes: [
          ...(only === undefined ? [] : [acceptFix(only, !('because' in only))]),
          doNotFilter(sysctl.last),
        ],
        claims: dropSites(drops).map(({ location }) => ({
          reason: dropReason(drops),
          location,
          ...(ports !== undefined && { interface: ports }),
          packets,
        })),
      },
    ];
  },
});

function handedOver(settings: Sysctl): readonly Observation[] {
  return [...CALL_KEYS.values()].flatMap((key) => {
    const value = settings.text(key);
    return value === undefined ? [] : [{ source: key, text: `is ${value}`, last: value }];
  });
}

function observed(refuser: CountedRefuser | UncountedRefuser): Observation {
  const name = nameOf(refuser.entry);
  return {
    source: sourceOf(refuser.entry),
    text:
      'because' in refuser
        ? `${name} does not count, and may have met them`
        : `${refuser.packets} packets met ${name}`,
  };
}

/** Printed only: Docker and Kubernetes rely on it. */
function doNotFilter(settings: Sysctl): Fix {
  const on = [...CALL_KEYS.values()].filter((key) => settings.number(key) === 1);
  return {
    id: 'do-not-filter-bridged',
    title: 'Or keep the firewall for IP packets away from what is bridged',
    risk: 'disruptive',
    cost: 'all guests of all bridges reach each other; Kubernetes, and the isolation of Docker networks, need it as it is',
    takesEffect: 'at-once',
    steps: [
      {
        kind: 'manual',
        text: `Only where nothing filters bridged traffic on purpose: sysctl -w ${on.map((key) => `${key}=0`).join(' ')}, and in /etc/sysctl.d.`,
      },
    ],
  };
}
