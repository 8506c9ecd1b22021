import drops from '../../checks/drops.ts';
import snmp from '../../checks/snmp.ts';
import { defineRule } from '../../src/model/rule.ts';
import { unspecified } from '../benign.ts';
import {
  dropsWhere,
  observedRises,
  ownEvents,
  policySeverity,
  rises,
} from '../protocol-counters.ts';

/** What each counter counts, and the drop reasons that go with it. */
const REFUSALS: Readonly<Record<string, readonly [what: string, ...reasons: string[]]>> = {
  'TcpExt.TCPMD5NotFound': ['segments without the MD5 signature they need', 'TCP_MD5NOTFOUND'],
  'TcpExt.TCPMD5Unexpected': [
    'segments with an MD5 signature, though no key is set for the peer',
    'TCP_MD5UNEXPECTED',
  ],
  'TcpExt.TCPMD5Failure': ['segments whose MD5 signature is wrong', 'TCP_MD5FAILURE'],
  'TcpExt.TCPAORequired': ['segments without the TCP-AO they need', 'TCP_AONOTFOUND'],
  'TcpExt.TCPAOKeyNotFound': [
    'segments with a TCP-AO key that is not known here',
    'TCP_AOKEYNOTFOUND',
    'TCP_AOUNEXPECTED',
  ],
  'TcpExt.TCPAOBad': ['segments whose TCP-AO code is wrong', 'TCP_AOFAILURE'],
  'TcpExt.TCPMinTTLDrop': ['segments from further away than the program allows', 'TCP_MINTTL'],
};
const COUNTERS = Object.keys(REFUSALS);
const REASONS = [...Object.values(REFUSALS).flatMap(([, ...reasons]) => reasons), 'TCP_AUTH_HDR'];
const LOCATIONS = ['tcp_v4_rcv', 'tcp_v6_rcv'];

export default defineRule({
  id: 'tcp-auth-mismatch',
  title: 'TCP segments fail authentication, or come from too far away',
  needs: { snmp },
  wants: { drops },
  reviewed: '2026-11-22',
  explain: {
    see: 'A BGP or LDP session does not come up, or flaps after a change of keys. Ping works.',
    kernel:
      'For a peer with a key (TCP_MD5SIG, RFC 2385, or TCP-AO, RFC 5925) `tcp_inbound_hash` (net/ipv4/tcp.c) drops every segment that is not signed with it: `TCP_MD5NOTFOUND`, `TCP_MD5FAILURE`, `TCP_AOFAILURE` and the like, counted in `TcpExt TCPMD5NotFound` and its neighbours. A program that sets IP_MINTTL (GTSM, RFC 5082) refuses segments with a lower TTL: `TCP_MINTTL`, `TcpExt TCPMinTTLDrop`. All at `tcp_v4_rcv` or `tcp_v6_rcv` (Linux 6.18).',
    confirm:
      '`nstat -az TcpExtTCPMD5NotFound TcpExtTCPMD5Unexpected TcpExtTCPMD5Failure TcpExtTCPMinTTLDrop`; `tcpdump -vni INTERFACE tcp port 179` shows `md5` and `ttl` of each segment.',
    fix: 'Make the keys, and for GTSM the number of hops, the same in the routing program on both ends.',
    normal:
      'While keys are changed on one end after the other. Segments from too far away may be an attack that is refused as it should be.',
    references: [
      'net/ipv4/tcp.c tcp_inbound_hash, tcp_inbound_md5_hash (Linux 6.18)',
      'RFC 2385, RFC 5925, RFC 5082',
    ],
  },
  judge({ snmp, drops }, window) {
    const counted = rises(snmp, COUNTERS);
    const events = dropsWhere(drops, ({ reason }) => reason !== null && REASONS.includes(reason));
    // A malformed option has no counter.
    const packets = Math.max(counted, ownEvents(events.packets, counted, window));
    if (packets === 0) return [];
    return [
      {
        kind: 'cause',
        confidence: 'certain',
        packets,
        traffic: { packets: rises(snmp, ['Tcp.InSegs']), what: 'TCP segments received' },
        severityAtMost: policySeverity(packets, window),
        scope: {},
        because: [
          ...Object.entries(REFUSALS).flatMap(([name, [what]]) =>
            observedRises(snmp, [name], what),
          ),
          ...(packets > counted
            ? [
                {
                  source: 'skb:kfree_skb',
                  text: `${events.packets} drops with a reason of TCP authentication`,
                },
              ]
            : []),
        ],
        means: meaning(packets, rises(snmp, ['TcpExt.TCPMinTTLDrop'])),
        rulesOut: [
          {
            id: 'nf-rule-drop',
            because: 'a firewall does not move these counters: the segments reached TCP',
          },
        ],
        fixes: [
          {
            id: 'same-keys',
            title: 'Make keys and hop limits the same on both ends',
            risk: 'disruptive',
            cost: 'The session is opened anew.',
            steps: [
              {
                kind: 'manual',
                text: 'Compare password, key number and ttl-security (GTSM) of the peer in the configuration of the routing program on both ends. Look out for blanks at the end of a password.',
              },
            ],
            takesEffect: 'new-sockets',
          },
        ],
        claims: [{ reason: REASONS, packets }, ...unspecified({ location: LOCATIONS, packets })],
      },
    ];
  },
});

function meaning(packets: number, tooFar: number): string {
  if (tooFar === packets) {
    return 'Segments came over more routers than the program allows (IP_MINTTL, "ttl-security"): the peer is further away than configured, or somebody else sends in its name.';
  }
  return 'The two ends of a protected TCP session do not agree on the key or on whether there is one, so no segment is taken.';
}
