import drops from '../../checks/drops.ts';
import link, { type Links } from '../../checks/link.ts';
import type { Sampled } from '../../src/model/check.ts';
import { packetsOf, type DropCapture } from '../../src/model/drops.ts';
import type { Fix } from '../../src/model/fix.ts';
import { rise } from '../../src/model/counter.ts';
import {
  defineRule,
  type CauseFinding,
  type Finding,
  type JudgeWindow,
} from '../../src/model/rule.ts';
import { onlyToGroups } from '../to-groups.ts';
import { bridgePorts, receivedBy } from './bridge-ports.ts';
import { isChatter } from './chatter.ts';
import { claimsAt, dropsAt, settledLinks, type SettledLink, type Spot } from './device-drops.ts';

const NOWHERE: Spot = {
  reasons: ['NO_TX_TARGET', 'ARP_PVLAN_DISABLE'],
  locations: [
    'br_handle_frame_finish',
    'br_dev_xmit',
    'br_flood',
    'br_multicast_flood',
    'br_forward',
    'br_do_proxy_suppress_arp',
  ],
};
/**
 * A locked port takes only frames of sources with a fixed entry (br_handle_frame_finish, Linux 6.18). The address is
 * known, but not to be reached from this port: both are isolated, or it is behind the same port (should_deliver in
 * br_forward, which frees by a tail call).
 */
const REFUSED: Spot = { reasons: ['NOT_SPECIFIED'], locations: ['br_handle_frame_finish'] };
/** Longer than the MTU of the port that it should leave by (is_skb_forwardable, Linux 6.18). */
const TOO_LONG: Spot = {
  reasons: ['NOT_SPECIFIED', 'PKT_TOO_BIG'],
  locations: ['br_dev_queue_push_xmit', 'br_nf_dev_queue_xmit', 'br_forward', '__br_forward'],
};

export default defineRule({
  id: 'bridge-no-target',
  title: 'A bridge has no port for a frame',
  needs: { link },
  wants: { drops },
  reviewed: '2026-11-22',
  explain: {
    see: 'Two hosts (containers, virtual machines) on one bridge cannot reach each other, or large packets do not pass. No counter rises.',
    kernel:
      '`br_handle_frame_finish` (net/bridge/br_input.c) sends a frame for a MAC address that it does not know to all ports that flood and are not isolated from where it came. If none is left: `NO_TX_TARGET` since 6.14. A frame for an address that it knows is dropped without a reason if both ports are isolated (`br_forward`), or if the address is behind the port it came in by. A locked port takes only frames of known sources. `br_dev_queue_push_xmit` (br_forward.c) drops what is longer than the MTU of the port it should leave by.',
    confirm:
      '`bridge -d link` shows `isolated`, `locked`, `flood` and the MTU of each port; `bridge fdb show br BRIDGE` shows behind which port an address is.',
    fix: 'If they should reach each other: `bridge link set dev PORT isolated off`, `flood on`, or a fixed entry (`bridge fdb add MAC dev PORT master static`). Give all ports of a bridge one MTU.',
    normal:
      'Frames for a host that has just gone, or that is behind the port they came in by: a switch sends those to all. Isolation that somebody wants: guests of one bridge that must not see each other.',
    references: [
      'net/bridge/br_input.c br_handle_frame_finish (Linux 6.18)',
      'net/bridge/br_forward.c br_flood, br_forward, br_dev_queue_push_xmit (Linux 6.18)',
      'bridge(8): isolated, locked, flood',
    ],
  },
  judge({ link, drops }, window) {
    if (drops === undefined) return [];
    const ports = bridgePorts(link);
    const bridges = settledLinks(link).filter(({ now }) => now.kind === 'bridge');
    const offered =
      receivedBy(ports) +
      bridges.reduce((sum, { before, now }) => sum + rise(before.txPackets, now.txPackets), 0);
    // Under tracefs a drop may be of any port.
    let left = packetsOf(dropsAt(drops, REFUSED));
    const limits = ports.filter(({ now }) => now.portLimits !== undefined);
    return [
      ...withoutPort(drops, offered, limits, window),
      ...ports.flatMap((port) => {
        const seen = packetsOf(dropsAt(drops, REFUSED, port.name));
        const packets = Math.min(receivedBy([port]), seen, left);
        left -= packets;
        return packets === 0 ? [] : refused(port, packets, { link, limits, offered });
      }),
      ...tooLong(drops, ports, offered),
    ];
  },
});

function withoutPort(
  capture: DropCapture,
  offered: number,
  limits: readonly SettledLink[],
  window: JudgeWindow,
): readonly Finding[] {
  const seen = dropsAt(capture, NOWHERE).filter(({ reason }) => reason !== null);
  const packets = Math.min(offered, packetsOf(seen));
  if (packets === 0) return [];
  const claims = [{ reason: NOWHERE.reasons, location: NOWHERE.locations, packets }];
  if (isChatter(packets, window) || onlyToGroups(seen) === true) {
    return [
      {
        kind: 'benign',
        text: 'Frames for hosts that are gone from a bridge, or announcements into a bridge without ports.',
        claims,
      },
    ];
  }
  const settings = limits.map(({ name, now }) => `${name}: ${now.portLimits?.join(', ')}`);
  return [
    {
      kind: 'cause',
      confidence: settings.length > 0 ? 'likely' : 'possible',
      packets,
      traffic: framesOf(offered, packets),
      // Isolation is mostly wanted, and so is silence about hosts that are gone.
      severityAtMost: limits.some(({ now }) => now.portLimits?.includes('no flood') === true)
        ? 'warning'
        : 'notice',
      scope: {},
      because: [
        {
          source: 'skb:kfree_skb',
          text: `${packets} frames in a bridge had no port to leave by (NO_TX_TARGET)`,
        },
        ...settings.map((text) => ({ source: 'bridge -d link', text })),
      ],
      means:
        settings.length > 0
          ? 'The settings of bridge ports (isolated, no flood, locked) keep frames from their destination. Mostly somebody wants that.'
          : 'Frames came to a bridge for a MAC address that is behind none of its ports: a host that is gone, or that never sends.',
      rulesOut: [],
      fixes: settings.length > 0 ? [openPorts(limits)] : [],
      claims,
    },
  ];
}

function openPorts(limits: readonly SettledLink[]): Fix {
  return {
    id: 'open-ports',
    title: 'If these hosts should reach each other, open the ports',
    risk: 'disruptive',
    cost: 'hosts that were kept apart see each other',
    takesEffect: 'at-once',
    steps: limits.flatMap(({ name, now }) =>
      (now.portLimits ?? []).map((limit) => ({
        kind: 'command' as const,
        argv: [
          'bridge',
          'link',
          'set',
          'dev',
          name,
          ...(limit === 'no flood' ? ['flood', 'on'] : [limit, 'off']),
        ],
        why: `ends "${limit}" of ${name}`,
      })),
    ),
  };
}

/** What all causes of one port have in common. */
function causeAt(name: string, packets: number, offered: number) {
  return {
    kind: 'cause',
    confidence: 'likely',
    packets,
    traffic: framesOf(offered, packets),
    scope: { interface: name },
    rulesOut: [],
  } as const;
}

/** @param offered frames that came to all bridges, by counters that may be a little behind the drops */
function framesOf(offered: number, packets: number): NonNullable<CauseFinding['traffic']> {
  return { packets: Math.max(offered, packets), what: 'frames that came to a bridge' };
}

interface Bridges {
  readonly link: Sampled<Links>;
  /** Ports with a setting that keeps frames back. */
  readonly limits: readonly SettledLink[];
  /** Frames that came to all bridges. */
  readonly offered: number;
}

function refused(
  { name, now }: SettledLink,
  packets: number,
  { link, limits, offered }: Bridges,
): readonly Finding[] {
  const claims = claimsAt(REFUSED, { interface: name, packets });
  const cause = { ...causeAt(name, packets, offered), severityAtMost: 'notice', claims } as const;
  if (now.portLimits?.includes('locked') === true) {
    return [
      {
        ...cause,
        because: [
          { source: 'bridge -d link', text: `${name} is locked: ${packets} frames were refused` },
        ],
        means: `${name} takes only frames of addresses that have a fixed entry (802.1X, MAC authentication). The sender of these has none.`,
        fixes: [admit(name)],
      },
    ];
  }
  const limited = limits.filter(({ now: other }) => other.master === now.master);
  const isolated = limited.filter(({ now: other }) => other.portLimits?.includes('isolated'));
  if (isolated.length > 1 && isolated.some((other) => other.name === name)) {
    return [
      {
        ...cause,
        because: [
          {
            source: 'bridge -d link',
            text: `${isolated.map((other) => other.name).join(', ')} are isolated from each other: ${packets} frames from ${name} were refused`,
          },
        ],
        means: `${name} is isolated: what comes in by it leaves by ports only that are not. Mostly somebody wants that.`,
        fixes: [openPorts(isolated)],
      },
    ];
  }
  // Before 6.14 an address that no port floods ends here as well. VLANs are for bridge-vlan-filter to tell.
  const filtersVlans = link.last.interfaces.get(now.master ?? '')?.vlanFiltering === true;
  if (filtersVlans || limited.some(({ now: other }) => other.portLimits?.includes('no flood')))
    return [];
  return [
    {
      kind: 'benign',
      text: `Frames that came in by ${name} for hosts behind ${name}, or behind no port: the bridge has nothing to do for them.`,
      claims,
    },
  ];
}

function admit(name: string): Fix {
  return {
    id: `admit-${name}`,
    title: `If the host behind ${name} may take part, admit it`,
    risk: 'disruptive',
    cost: 'the lock is there to keep strangers out',
    takesEffect: 'at-once',
    steps: [
      {
        kind: 'manual',
        text: `bridge fdb add MAC dev ${name} master static, or look at the daemon that authenticates hosts there.`,
      },
    ],
  };
}

function tooLong(
  capture: DropCapture,
  ports: readonly SettledLink[],
  offered: number,
): readonly CauseFinding[] {
  const largest = Math.max(...ports.map(({ now }) => now.mtu));
  const small = ports.filter(({ now }) => now.mtu < largest);
  return small.flatMap(({ name, now }): readonly CauseFinding[] => {
    const packets = Math.min(offered, packetsOf(dropsAt(capture, TOO_LONG, name)));
    if (packets === 0) return [];
    return [
      {
        ...causeAt(name, packets, offered),
        severityAtMost: 'warning',
        because: [
          {
            source: `ip -d link show ${name}`,
            text: `${packets} frames were too long for ${name} with its MTU of ${now.mtu}; another port has ${largest}`,
            last: String(now.mtu),
          },
        ],
        means: `The ports of one bridge have different MTUs. What is longer than ${now.mtu} bytes cannot leave by ${name}, and nobody is told.`,
        fixes: [
          {
            id: `same-mtu-${name}`,
            title: `Give ${name} the MTU of the other ports`,
            risk: 'disruptive',
            cost: 'both ends of that link must take it; otherwise lower the other ports instead',
            takesEffect: 'at-once',
            steps: [
              {
                kind: 'command',
                argv: ['ip', 'link', 'set', 'dev', name, 'mtu', String(largest)],
                why: `as other ports of the bridge have it, instead of ${now.mtu}`,
              },
            ],
          },
        ],
        claims: claimsAt(TOO_LONG, { interface: name, packets }),
      },
    ];
  });
}
