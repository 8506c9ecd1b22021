import drops from '../../checks/drops.ts';
import link, { type Links } from '../../checks/link.ts';
import snmp, { type Snmp } from '../../checks/snmp.ts';
import type { Sampled } from '../../src/model/check.ts';
import { rise } from '../../src/model/counter.ts';
import { packetsOf, type DropCapture } from '../../src/model/drops.ts';
import type { Fix } from '../../src/model/fix.ts';
import {
  defineRule,
  type CauseFinding,
  type JudgeWindow,
  type Observation,
} from '../../src/model/rule.ts';
import { rises } from '../protocol-counters.ts';
import { droppedHere } from './local-loss.ts';
import { nameOfPeer, retransmitsByPeer, servicePortOf, type RemotePeer } from './peers.ts';

/** Of the segments sent for the first time. A rule of thumb: 1 % is suspicious, 3 % is bad; this is between. */
const LOST_SHARE = 0.02;
/** Any host sends some segments again: the end of each broken connection is a dozen (tcp_retries2 = 15). */
const LOST_SEGMENTS = 30;
/** A tenth may be by chance. If this host dropped more of them itself, that is where to look first. */
const DROPPED_HERE_SHARE = 0.1;
/** So large a part makes one peer, or the requests that nobody answers, the matter. */
const MOST = 0.8;
/** More peers than these are counted, not named. */
const NAMED_PEERS = 3;

export default defineRule({
  id: 'remote-loss',
  title: 'TCP segments are lost elsewhere, not on this host',
  needs: { snmp, link },
  wants: { drops },
  // They lose acknowledgements, and so make this host send again.
  consequenceOf: ['nic-rx-ring', 'softnet-backlog'],
  reviewed: '2026-11-22',
  explain: {
    see: 'Connections are slow or hang, and TCP sends much again, while no counter of drops on this host moves.',
    kernel:
      'TCP sends a segment again when its acknowledgement does not come (`__tcp_retransmit_skb`, net/ipv4/tcp_output.c): `Tcp RetransSegs`, and the tracepoint `tcp:tcp_retransmit_skb` with the addresses. ' +
      'When nothing on this host dropped a segment of that peer, it was lost on the way, at the peer, or its acknowledgement was lost on the way back. ' +
      'Peers tell of segments that came twice (DSACK, RFC 2883: `TcpExt TCPDSACKRecv`): those were only late, and are not counted here.',
    confirm:
      '`nstat -az TcpRetransSegs TcpOutSegs TcpExtTCPDSACKRecv TcpExtTCPSynRetrans`; `ss -tin` shows `retrans` of each connection; `whydrop report --capture bpf` names the peers.',
    fix: 'Nothing on this host. Look where it is lost: `mtr --tcp --port PORT PEER` shows the hop, `whydrop` on the peer shows its drops. One peer only: its side. All of them: what they have in common, the cable, the switch, the provider; a cloud provider may limit the machine.',
    normal:
      'Up to about one in a hundred segments over the Internet or Wi-Fi, and connection requests to a machine that is switched off.',
    references: [
      'net/ipv4/tcp_output.c __tcp_retransmit_skb (Linux 6.18)',
      'Documentation/networking/snmp_counter.rst',
      'RFC 2883',
    ],
  },
  judge({ snmp, link, drops }, window) {
    const sent = rises(snmp, ['Tcp.OutSegs']);
    const needless = rises(snmp, ['TcpExt.TCPDSACKRecv', 'TcpExt.TCPDSACKOfoRecv']);
    const lostByCounter = Math.max(0, rises(snmp, ['Tcp.RetransSegs']) - needless);
    // Connection requests are not told apart from the answers to them, which a flood of requests multiplies.
    const handshakes = rises(snmp, ['TcpExt.TCPSynRetrans']);
    const peers = peersLosingElsewhere(drops);
    const lost =
      peers === undefined ? lostByCounter - handshakes : Math.min(lostByCounter, packetsOf(peers));

    if (lost < LOST_SEGMENTS || lost < sent * LOST_SHARE) return [];
    const here = Math.max(
      peers === undefined && drops !== undefined ? droppedHere(drops) : 0,
      lostByLinks(link),
    );
    if (here > lost * DROPPED_HERE_SHARE) return [];
    return [finding({ snmp, drops, window, lost, sent, needless, peers: peers ?? [] })];
  },
});

/** Undefined: peers are not known. */
function peersLosingElsewhere(drops: DropCapture | undefined): readonly RemotePeer[] | undefined {
  if (drops === undefined) return undefined;
  return retransmitsByPeer(drops)?.filter(
    ({ remote, packets }) => droppedHere(drops, remote) <= packets * DROPPED_HERE_SHARE,
  );
}

/** Frames the interfaces lost before there was a packet, or could not send. */
function lostByLinks({ first, last }: Sampled<Links>): number {
  let lost = 0;
  for (const [name, after] of last.interfaces) {
    const before = first.interfaces.get(name);
    for (const key of ['rxMissed', 'rxErrors', 'txErrors'] as const) {
      lost += rise(before?.[key], after[key]);
    }
  }
  return lost;
}

interface Loss {
  readonly snmp: Sampled<Snmp>;
  readonly drops: DropCapture | undefined;
  readonly window: JudgeWindow;
  readonly lost: number;
  readonly sent: number;
  readonly needless: number;
  /** Empty: not known. */
  readonly peers: readonly RemotePeer[];
}

function finding(loss: Loss): CauseFinding {
  const { drops, peers } = loss;
  const main = mainPeer(peers);
  return {
    kind: 'cause',
    confidence: drops === undefined ? 'possible' : 'likely',
    // None was lost here.
    packets: 0,
    severityAtMost: 'notice',
    scope: main === undefined ? {} : { flow: `to ${nameOfPeer(main)}` },
    because: [...counterObservations(loss), ...peers.slice(0, NAMED_PEERS).map(peerObservation)],
    means: meansOf(loss, main),
    rulesOut:
      drops === undefined
        ? []
        : [
            {
              id: 'nf-rule-drop',
              because:
                peers.length > 0
                  ? 'no drop of the capture explains what these peers missed'
                  : 'the capture shows too few drops to explain it',
            },
          ],
    fixes: [searchOf(main)],
    claims: [],
  };
}

/** The one with nearly all of it. */
function mainPeer(peers: readonly RemotePeer[]): RemotePeer | undefined {
  const [first] = peers;
  return first !== undefined && first.packets >= packetsOf(peers) * MOST ? first : undefined;
}

function counterObservations({ snmp, lost, sent, needless }: Loss): readonly Observation[] {
  const { first, last } = snmp;
  return [
    {
      source: '/proc/net/snmp Tcp RetransSegs',
      text: `${lost} segments were sent again, beside ${sent} sent for the first time (${percent(lost, sent)} %)`,
      first: String(first.counters.get('Tcp.RetransSegs')),
      last: String(last.counters.get('Tcp.RetransSegs')),
    },
    ...(needless === 0
      ? []
      : [
          {
            source: '/proc/net/netstat TcpExt TCPDSACKRecv',
            text: `${needless} more had arrived already: their peers said so`,
          },
        ]),
  ];
}

function percent(part: number, whole: number): number {
  return Math.round((100 * part) / Math.max(whole, 1));
}

function peerObservation(peer: RemotePeer): Observation {
  const { packets, handshakePackets } = peer;
  const requests =
    handshakePackets === 0 ? '' : `, ${handshakePackets} of them to open a connection`;
  return {
    source: 'tcp:tcp_retransmit_skb',
    text: `${packets} sent again to ${nameOfPeer(peer)}${requests}`,
  };
}

function meansOf({ drops, peers, window }: Loss, main: RemotePeer | undefined): string {
  const who =
    main === undefined ? (peers.length > 1 ? `${peers.length} peers` : 'peers') : main.remote;
  const elsewhere =
    window.foreignNetns || window.severalNetns
      ? 'on the way, at the peer, or in another network namespace of this machine'
      : 'on the way or at the peer';
  const requests = peers.reduce((sum, { handshakePackets }) => sum + handshakePackets, 0);
  if (requests > 0 && requests >= packetsOf(peers) * MOST) {
    return `Connection requests to ${who} get no answer: the machine is down, or they are dropped ${elsewhere}.`;
  }
  if (drops === undefined) {
    return `TCP sends much again. The segments are probably lost ${elsewhere}: no counter of the interfaces here moves, but drops were not watched.`;
  }
  return main === undefined && peers.length > 1
    ? `Segments to ${who} are lost ${elsewhere}, not here. Look at what these peers have in common: the link, the switch, the provider.`
    : `Segments to ${who} are lost ${elsewhere}: nothing here dropped them.`;
}

function searchOf(peer: RemotePeer | undefined): Fix {
  const port = peer === undefined ? null : servicePortOf(peer);
  return {
    id: 'find-the-hop',
    title: 'Find out where on the way segments are lost',
    risk: 'none',
    cost: 'None: some probes are sent.',
    steps: [
      peer === undefined
        ? {
            kind: 'manual',
            text: 'See which connections send again: `ss -tin` (retrans). `whydrop report --capture bpf` names the peers',
          }
        : {
            kind: 'command',
            argv: ['mtr', '--tcp', ...(port === null ? [] : ['--port', String(port)]), peer.remote],
            why: 'the first hop from which on all lose is where to look',
          },
      {
        kind: 'manual',
        text: 'Run whydrop on the peer: what is lost there, shows there. Look at the counters of the switches between',
      },
    ],
    takesEffect: 'at-once',
  };
}
