import drops from '../../checks/drops.ts';
import snmp from '../../checks/snmp.ts';
import { defineRule, type Claim } from '../../src/model/rule.ts';
import { areStray, strays } from './evidence.ts';
import { fragmentLosses, REASSEMBLY } from './fragment-losses.ts';
import { observedRises } from '../protocol-counters.ts';

/** A datagram of 64 KiB in fragments of 1,500 bytes. */
const FRAGMENTS_MOST = 45;
const REASONS = ['FRAG_REASM_TIMEOUT', 'FRAG_TOO_FAR'];

export default defineRule({
  id: 'ip-frag-timeout',
  title: 'Datagrams are given up because fragments of them are missing',
  needs: { snmp },
  wants: { drops },
  reviewed: '2026-11-22',
  explain: {
    see: 'Big UDP messages (DNS with DNSSEC, NFS, RADIUS, SIP, tunnels) are lost, small ones pass; `Ip ReasmTimeout` rises.',
    kernel:
      'Fragments wait for the rest of their datagram for `ipfrag_time` (30 s). If it does not come, `ip_expire` (net/ipv4/ip_fragment.c) frees them with the reason `FRAG_REASM_TIMEOUT`; `Ip ReasmTimeout` and `Ip ReasmFails` count the datagram. `FRAG_TOO_FAR`: more than `ipfrag_max_dist` newer datagrams of that sender came meanwhile. `DUP_FRAG` is a fragment that came twice. Overlapping fragments count in `IpExt ReasmOverlaps`.',
    confirm:
      '`nstat -az IpReasmTimeout IpReasmFails IpReasmReqds IpExtReasmOverlaps`; `tcpdump -ni INTERFACE "ip[6:2] & 0x3fff != 0"` shows which pieces come.',
    fix: 'Find who drops fragments: usually a firewall that has no ports to judge by in all but the first. Better: do not fragment. A smaller EDNS buffer (1232), NFS over TCP, the right MTU on tunnels. `ipfrag_time` cures nothing; it only decides how long the pieces wait.',
    normal: 'A few from the Internet.',
    references: [
      'net/ipv4/ip_fragment.c ip_expire, ip_frag_too_far (Linux 6.18)',
      'net/ipv6/reassembly.c (Linux 6.18)',
      'RFC 8900 "IP Fragmentation Considered Fragile"',
    ],
  },
  judge({ snmp, drops }, window) {
    const losses = fragmentLosses(snmp, drops);
    const timedOut = losses.reduce((sum, loss) => sum + loss.timedOut, 0);
    const disordered = losses.reduce((sum, loss) => sum + loss.disordered, 0);
    const whole = losses.reduce((sum, loss) => sum + loss.reassembled, 0);
    const packets = timedOut + disordered;
    const claims: readonly Claim[] = [
      { reason: 'DUP_FRAG' },
      { reason: REASONS, packets: packets * FRAGMENTS_MOST },
      // Before 6.4, and of overlapping fragments, there is no reason.
      ...['NOT_SPECIFIED', null].map((reason) => ({
        reason,
        location: REASSEMBLY,
        packets: packets * FRAGMENTS_MOST,
      })),
    ];
    if (areStray(packets, window)) {
      return strays(
        'A few datagrams of which not all fragments arrived, and fragments that came twice.',
        claims,
        window,
      );
    }
    return [
      {
        kind: 'cause',
        confidence: timedOut >= disordered ? 'certain' : 'likely',
        packets,
        traffic: { packets: whole + packets, what: 'datagrams that came in fragments' },
        // Lost elsewhere.
        severityAtMost: 'warning',
        scope: {},
        because: [
          ...observedRises(
            snmp,
            ['Ip.ReasmTimeout', 'Ip6.ReasmTimeout'],
            'datagrams were not complete in time',
          ),
          ...(disordered > 0
            ? [
                {
                  source: 'nstat IpReasmFails, without timeouts and refusals',
                  text: `${disordered} datagrams were overtaken by too many newer ones of their sender, or their fragments overlap`,
                },
              ]
            : []),
          ...observedRises(snmp, ['IpExt.ReasmOverlaps'], 'fragments overlap others'),
          ...observedRises(snmp, ['Ip.ReasmOKs', 'Ip6.ReasmOKs'], 'datagrams were put together'),
        ],
        means:
          'Some fragments of these datagrams never arrived, so the rest was given up. They were lost before they came to this host: a firewall that drops fragments, or loss on the way.',
        rulesOut: [
          {
            id: 'ip-frag-memory',
            because: 'these waited their full time; memory would have refused them at once',
          },
        ],
        fixes: [
          {
            id: 'stop-fragmenting',
            title: 'Find who drops the fragments, or stop fragmenting',
            risk: 'none',
            cost: 'none here',
            takesEffect: 'at-once',
            steps: [
              {
                kind: 'manual',
                text: 'Let the senders send smaller messages (EDNS buffer 1232, NFS over TCP, the true MTU on tunnels), and look at firewalls on the way that drop fragments. No setting of this host brings them back.',
              },
            ],
          },
        ],
        claims,
      },
    ];
  },
});
