import drops from '../../checks/drops.ts';
import link, { type Links } from '../../checks/link.ts';
import { rise } from '../../src/model/counter.ts';
import { packetsOf, type DropCapture } from '../../src/model/drops.ts';
import { defineRule, type CauseFinding } from '../../src/model/rule.ts';
import { claimsAt, dropsAt, settledLinks, type SettledLink } from './device-drops.ts';

const FULL = {
  reasons: ['MACVLAN_BROADCAST_BACKLOG', 'IPVLAN_MULTICAST_BACKLOG', 'NOT_SPECIFIED'],
  // Inlined into macvlan_handle_frame on some kernels.
  locations: [
    'macvlan_broadcast_enqueue',
    'macvlan_handle_frame',
    'ipvlan_skb_crossing_ns',
    'ipvlan_multicast_enqueue',
    'ipvlan_handle_frame',
  ],
};
/** A longer queue only delays broadcasts that come faster than they can be copied. */
const LONGEST_QUEUE = 8000;

export default defineRule({
  id: 'macvlan-broadcast-queue',
  title: 'Broadcasts for macvlan interfaces come faster than they are copied',
  needs: { link },
  wants: { drops },
  reviewed: '2026-11-22',
  explain: {
    see: 'Containers on macvlan miss broadcasts and multicasts now and then: ARP, DHCP, mDNS, streams. `rx dropped` of the interface below rises.',
    kernel:
      'A broadcast is copied to each macvlan by a worker; until then it waits in a queue of the lower interface. `macvlan_broadcast_enqueue` (drivers/net/macvlan.c) drops what does not fit and counts it in rx_dropped of that interface. The queue has as many places as the largest `bcqueuelen` of its macvlans (1000 by default).',
    confirm:
      '`ip -s link show LOWER`: RX dropped rises; `ip -d link show type macvlan` shows `usedbcqueuelen`; `tcpdump -ni LOWER broadcast or multicast` shows what it is.',
    fix: 'Stop the storm of broadcasts, or `ip link set dev MACVLAN type macvlan bcqueuelen N` against short bursts.',
    normal: 'Never, but it hurts only broadcasts and multicasts.',
    references: ['drivers/net/macvlan.c macvlan_broadcast_enqueue (Linux 6.18)'],
  },
  judge({ link, drops }) {
    if (drops === undefined) return [];
    return settledLinks(link).flatMap((device) => finding(device, link.last, drops));
  },
});

function finding(
  { name, before, now }: SettledLink,
  { interfaces }: Links,
  capture: DropCapture,
): readonly CauseFinding[] {
  const dropped = rise(before.rxDropped, now.rxDropped);
  // Nearly always: and to look for macvlans among all interfaces, for each of them, takes long.
  if (dropped === 0) return [];
  const child = [...interfaces].find(
    ([, { kind, lower }]) => kind !== undefined && /^(?:macv|ipv)/.test(kind) && lower === name,
  );
  const seen = dropsAt(capture, FULL, name);
  // Their macvlans may be in containers; then only a capture that tells the interface knows which one is below them.
  if (child === undefined && seen.some(({ details }) => details === undefined)) return [];
  const packets = Math.min(dropped, packetsOf(seen));
  if (packets === 0) return [];
  const named = seen.some(({ reason }) => reason?.endsWith('_BACKLOG') === true);
  const length = child?.[1].broadcastQueueLength;
  return [
    {
      kind: 'cause',
      confidence: named ? 'certain' : 'likely',
      packets,
      traffic: {
        packets: rise(before.rxPackets, now.rxPackets),
        what: `packets received by ${name}`,
      },
      // Broadcasts and multicasts only.
      severityAtMost: 'warning',
      scope: { interface: name },
      because: [
        {
          source: `/sys/class/net/${name}/statistics/rx_dropped`,
          text: `${packets} broadcasts or multicasts found the queue of ${name} full`,
          first: String(before.rxDropped),
          last: String(now.rxDropped),
        },
        ...(length === undefined
          ? []
          : [
              {
                source: `ip -d link show ${child?.[0] ?? ''}`,
                text: `${length} may wait (usedbcqueuelen)`,
                last: String(length),
              },
            ]),
      ],
      means: `Broadcasts and multicasts reach ${name} faster than they are copied to its macvlan interfaces. Traffic for one host is not hurt.`,
      rulesOut: [],
      fixes:
        child === undefined || length === undefined || length >= LONGEST_QUEUE
          ? []
          : [
              {
                id: `broadcast-queue-${name}`,
                title: `Let ${Math.min(Math.max(2 * length, 1000), LONGEST_QUEUE)} broadcasts wait instead of ${length}`,
                risk: 'safe',
                cost: 'memory while the queue is full; it helps against bursts only',
                takesEffect: 'at-once',
                steps: [
                  {
                    kind: 'command',
                    argv: [
                      'ip',
                      'link',
                      'set',
                      'dev',
                      child[0],
                      'type',
                      'macvlan',
                      'bcqueuelen',
                      String(Math.min(Math.max(2 * length, 1000), LONGEST_QUEUE)),
                    ],
                    why: `the longest of the macvlans on ${name} counts`,
                  },
                ],
              },
            ],
      claims: claimsAt(FULL, { interface: name, packets }),
    },
  ];
}
