import drops from '../../checks/drops.ts';
import snmp from '../../checks/snmp.ts';
import sysctl from '../../checks/sysctl.ts';
import { defineRule, type CauseFinding, type Claim, type Finding } from '../../src/model/rule.ts';
import { sysctlStep } from '../../src/model/sysctl-step.ts';
import { unspecified, withoutReasons } from '../benign.ts';
import { dropsWhere, observedRises, ownEvents, rises } from '../protocol-counters.ts';

const COUNTERS: Readonly<Record<string, string>> = {
  'TcpExt.PAWSEstab': 'segments of established connections with an old time stamp',
  'TcpExt.PAWSActive': 'answers to connection requests with an old time stamp',
  'TcpExt.PAWSPassive': 'connection requests with an old time stamp',
  'TcpExt.PAWSTimewait': 'segments for ended connections with an old time stamp',
  'TcpExt.TSEcrRejected': 'segments that echo a time stamp never sent',
};
const NAMES = Object.keys(COUNTERS);
const REASONS = ['TCP_RFC7323_PAWS', 'TCP_RFC7323_TW_PAWS', 'TCP_RFC7323_TSECR'];
const LOCATIONS = ['tcp_validate_incoming', 'tcp_rcv_synsent_state_process', 'tcp_drop'];

/** Of the segments received: networks that let packets overtake each other give some, as with retransmissions (segments.ts). */
const NOISE_SHARE = 0.01;
/** Where a loss is critical by its number (rank.ts); in fewer segments a share says nothing. */
const NOISE_SEGMENTS = 20;
const recycleKey = 'net.ipv4.tcp_tw_recycle';

export default defineRule({
  id: 'tcp-paws',
  title: 'TCP segments are refused because their time stamps go backwards',
  needs: { snmp },
  wants: { drops, sysctl },
  reviewed: '2026-11-22',
  explain: {
    see: 'Some clients behind one NAT router or load balancer cannot connect, or their connections hang, while others are well.',
    kernel:
      'Time stamps protect a connection against old segments (PAWS, RFC 7323). `tcp_validate_incoming` (net/ipv4/tcp_input.c) drops a segment whose time stamp is older than the last one taken: `TCP_RFC7323_PAWS`, counted in `TcpExt PAWSEstab`; `tcp_rcv_synsent_state_process` an impossible answer (`PAWSActive`, `TSEcrRejected`). Kernels before 4.12 with `tcp_tw_recycle=1` also compared the clients of one address with each other, and so refused all but one of those behind a NAT (`PAWSPassive`).',
    confirm:
      '`nstat -az TcpExtPAWSEstab TcpExtPAWSActive TcpExtTSEcrRejected`; `tcpdump -vni INTERFACE host CLIENT` shows `TS val` go up and down.',
    fix: 'On kernels before 4.12: `sysctl -w net.ipv4.tcp_tw_recycle=0`. Otherwise look at the NAT router or load balancer: it must not put connections of several hosts on one port so soon that they meet. `net.ipv4.tcp_timestamps=0` only hides it, and costs speed.',
    normal:
      'Up to about one in a hundred segments on networks in which packets overtake each other.',
    references: [
      'net/ipv4/tcp_input.c tcp_validate_incoming, tcp_paws_check (Linux 6.18)',
      'RFC 7323 section 5',
      'Linux commit 4396e46187ca: tcp: remove tcp_tw_recycle (4.12)',
    ],
  },
  judge({ snmp, drops, sysctl }, window) {
    const counted = rises(snmp, NAMES);
    const events = dropsWhere(drops, ({ reason }) => reason !== null && REASONS.includes(reason));
    // TIME_WAIT has no counter of its own since 4.12.
    const packets = Math.max(counted, ownEvents(events.packets, counted, window));
    const received = rises(snmp, ['Tcp.InSegs']);
    const recycles = sysctl?.last.text(recycleKey) === '1';
    const claims: readonly Claim[] = [
      { reason: REASONS, packets },
      ...unspecified({ location: LOCATIONS, packets }),
    ];
    const isNoise = packets < NOISE_SEGMENTS || packets < received * NOISE_SHARE;
    if (packets === 0 || (isNoise && !recycles)) return [noise(packets)];
    const cause: CauseFinding = {
      kind: 'cause',
      confidence: recycles && rises(snmp, ['TcpExt.PAWSPassive']) > 0 ? 'certain' : 'likely',
      packets,
      traffic: { packets: received, what: 'TCP segments received' },
      severityAtMost: 'warning',
      scope: {},
      because: [
        ...Object.entries(COUNTERS).flatMap(([name, what]) => observedRises(snmp, [name], what)),
        ...(events.packets > counted && packets > counted
          ? [{ source: 'skb:kfree_skb', text: `${events.packets} drops for old time stamps` }]
          : []),
        ...(recycles
          ? [{ source: recycleKey, text: 'clients of one address are compared', last: '1' }]
          : []),
      ],
      means: recycles
        ? 'tcp_tw_recycle takes all clients of one address for one host. Behind a NAT they are not, so all but one are refused.'
        : 'Several hosts seem to share one address and port (NAT, load balancer), each with time stamps of its own, or a device on the way changes or repeats old segments.',
      rulesOut: [
        {
          id: 'tcp-sequence-noise',
          because: 'segments that only come twice have sequence numbers of the past; these do not',
        },
      ],
      fixes: recycles
        ? [
            {
              id: 'no-recycle',
              title: 'Stop comparing the time stamps of all clients of one address',
              risk: 'safe',
              cost: 'Ended connections are remembered for a minute, as on every newer kernel.',
              steps: [sysctlStep(recycleKey, 1, 0)],
              expect: {
                counter: 'snmp TcpExt.PAWSPassive',
                change: 'stops-rising',
                traffic: 'snmp Tcp.InSegs',
              },
              takesEffect: 'at-once',
            },
          ]
        : [
            {
              id: 'look-at-nat',
              title: 'Look at the device that makes several hosts one',
              risk: 'none',
              cost: 'None.',
              steps: [
                {
                  kind: 'manual',
                  text: 'Whose time stamps go backwards? tcpdump -vni INTERFACE host CLIENT shows TS val. Behind that address: a NAT router or load balancer that reuses ports at once should wait longer, or use more addresses.',
                },
              ],
              takesEffect: 'at-once',
            },
          ],
      claims,
    };
    return [cause];
  },
});

function noise(packets: number): Finding {
  return {
    kind: 'benign',
    text: 'TCP segments with an old time stamp: overtaken on the way, or sent twice.',
    claims: [{ reason: REASONS }, withoutReasons({ location: LOCATIONS, packets })],
  };
}
