import { packetsOf } from '../../src/model/drops.ts';
import drops from '../../checks/drops.ts';
import link from '../../checks/link.ts';
import { defineRule, type Finding } from '../../src/model/rule.ts';
import { bridgePorts, receivedBy } from './bridge-ports.ts';
import { isChatter } from './chatter.ts';
import { claimsAt, dropsAt } from './device-drops.ts';

const FILTERED = {
  reasons: ['NOT_SPECIFIED'],
  // Inlined into br_handle_frame_finish on some kernels.
  locations: [
    'br_allowed_ingress',
    '__allowed_ingress',
    'br_handle_vlan',
    'br_handle_frame_finish',
  ],
};

export default defineRule({
  id: 'bridge-vlan-filter',
  title: 'A bridge does not let a VLAN pass',
  needs: { link },
  wants: { drops },
  reviewed: '2026-11-22',
  explain: {
    see: 'A VLAN, or everything without a tag, does not pass a bridge with `vlan_filtering 1`. No counter rises.',
    kernel:
      'With VLAN filtering `br_allowed_ingress` (net/bridge/br_vlan.c) drops frames of a VLAN that the port is not a member of, and frames without a tag if the port has no PVID. It gives no reason.',
    confirm:
      '`ip -d link show BRIDGE` shows `vlan_filtering`; `bridge vlan` lists the members; `tcpdump -eni PORT` shows the tags that come in.',
    fix: '`bridge vlan add dev PORT vid N`, with `pvid untagged` for what comes without a tag; for the host itself `bridge vlan add dev BRIDGE vid N self`.',
    normal: 'On a trunk that carries VLANs this bridge has nothing to do with.',
    references: ['net/bridge/br_vlan.c __allowed_ingress (Linux 6.18)', 'bridge(8)'],
  },
  judge({ link, drops }, window) {
    if (drops === undefined) return [];
    const { interfaces } = link.last;
    return bridgePorts(link)
      .filter(({ now }) => interfaces.get(now.master ?? '')?.vlanFiltering === true)
      .filter(({ now }) => now.portLimits?.includes('locked') !== true)
      .flatMap((port): readonly Finding[] => {
        const { name, now } = port;
        const received = receivedBy([port]);
        const packets = Math.min(received, packetsOf(dropsAt(drops, FILTERED, name)));
        if (packets === 0) return [];
        const claims = claimsAt(FILTERED, { interface: name, packets });
        if (isChatter(packets, window)) {
          return [
            {
              kind: 'benign',
              text: `Frames of VLANs that port ${name} is not a member of.`,
              claims,
            },
          ];
        }
        return [
          {
            kind: 'cause',
            confidence: 'likely',
            packets,
            traffic: { packets: received, what: `frames received by ${name}` },
            severityAtMost: 'warning',
            scope: { interface: name },
            because: [
              {
                source: `ip -d link show ${now.master ?? ''}`,
                text: `the bridge filters VLANs, and ${packets} of ${received} frames from ${name} were dropped`,
              },
            ],
            means: `Port ${name} is probably not a member of the VLAN that these frames belong to, or has no PVID for frames without a tag.`,
            rulesOut: [{ id: 'bridge-no-target', because: 'the port is not locked' }],
            fixes: [
              {
                id: `admit-vlan-${name}`,
                title: `Let port ${name} take part in that VLAN`,
                risk: 'disruptive',
                cost: 'hosts in that VLAN see each other',
                takesEffect: 'at-once',
                steps: [
                  {
                    kind: 'manual',
                    text: `Compare bridge vlan show dev ${name} with tcpdump -eni ${name}. Then: bridge vlan add dev ${name} vid NUMBER (pvid untagged for frames without a tag).`,
                  },
                ],
              },
            ],
            claims,
          },
        ];
      });
  },
});
