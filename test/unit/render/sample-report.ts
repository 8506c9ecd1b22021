import type { Report } from '../../../src/model/report.ts';

/** A complete report: strict reverse-path filtering in namespace b, and everything else a report can hold. */
export const sampleReport: Report = {
  schema: 'whydrop.report/1',
  tool: { name: 'whydrop', version: '0.1.0' },
  host: {
    hostname: 'web1',
    kernel: '6.18.44',
    distribution: 'Debian GNU/Linux 12 (bookworm)',
    recorded: false,
    root: false,
  },
  window: { startedAt: '2026-11-21T23:00:00.000Z', seconds: 5.01 },
  scope: { netns: ['b'], interfaces: [] },
  capture: {
    backend: 'tracefs',
    events: 12_745,
    lost: 0,
    unavailable: [
      { backend: 'bpf', reason: 'libbpf is not installed. Install the package libbpf1.' },
    ],
  },
  totals: { dropped: 12_445, explained: 12_400, benign: 40, unexplained: 5 },
  verdict: 'critical',
  causes: [
    {
      rank: 1,
      id: 'ip-rpfilter',
      title: 'The reverse-path filter drops packets',
      severity: 'critical',
      confidence: 'certain',
      packets: 12_300,
      packetsPerSecond: 2455.1,
      share: 0.988,
      scope: { netns: 'b', interface: 'vb' },
      because: [
        {
          source: '/proc/net/netstat TcpExt IPReversePathFilter',
          text: 'Packets that failed the reverse-path filter',
          first: '10',
          last: '12310',
        },
        {
          source: 'skb:kfree_skb reason IP_RPFILTER',
          text: '12,300 packets were seen dropped for it in ip_rcv_finish_core',
        },
        {
          source: '/proc/sys/net/ipv4/conf/vb/rp_filter',
          text: 'vb is strict',
          first: '1',
          last: '1',
        },
      ],
      means:
        'Packets come in on vb from addresses whose route leads out of another interface. Strict mode takes them for forged and drops them.',
      rulesOut: [{ id: 'ip-martian', because: 'the martian counters did not move' }],
      fixes: [
        {
          id: 'loose-mode',
          title: 'Accept packets on vb whose source is reachable some other way (loose mode)',
          risk: 'caution',
          cost: 'Forged sources pass as long as any route to them exists.',
          steps: [
            {
              kind: 'sysctl',
              key: 'net.ipv4.conf.vb.rp_filter',
              from: '1',
              to: '2',
              hostWide: false,
              command: 'ip netns exec b sysctl -w net.ipv4.conf.vb.rp_filter=2',
            },
          ],
          expect: {
            counter: 'snmp TcpExtIPReversePathFilter',
            change: 'stops-rising',
            traffic: 'link vb rx_packets',
          },
          takesEffect: 'at-once',
        },
        {
          id: 'fix-routes',
          title: 'Route the answers out of the interface the packets came in by',
          risk: 'disruptive',
          cost: 'Changes the way of the answers; a wrong table cuts connections.',
          steps: [
            {
              kind: 'command',
              argv: 'ip -n b rule add from 192.0.2.10/32 lookup 100 priority 1000'.split(' '),
              why: 'Answers from the address of vb then leave by vb. Show the way they take now first.',
              command: 'ip -n b rule add from 192.0.2.10/32 lookup 100 priority 1000',
            },
            {
              kind: 'manual',
              text: 'Fill table 100 with the gateway behind vb.',
              command: '',
            },
          ],
          takesEffect: 'at-once',
        },
      ],
      consequences: [
        {
          id: 'udp-no-answer',
          title: 'UDP clients time out',
          packets: 0,
          means: 'The requests never reach the socket.',
        },
      ],
    },
    {
      rank: 2,
      id: 'nf-rule-drop',
      title: 'A firewall rule drops packets',
      severity: 'notice',
      confidence: 'likely',
      packets: 100,
      packetsPerSecond: 19.96,
      share: 0.008,
      scope: { netns: 'b', rule: 'inet filter input tcp dport 23 counter drop # handle 7' },
      because: [
        {
          source: 'nft -j list ruleset',
          text: 'The counter of the rule rose',
          first: '18446744073709551515',
          last: '18446744073709551615',
        },
      ],
      means: 'Somebody wants these packets dropped. It is a fault only if they should pass.',
      rulesOut: [],
      fixes: [
        {
          id: 'show-rule',
          title: 'Look at the rule, and remove it if it is wrong',
          risk: 'none',
          cost: 'None: it only shows the rule.',
          steps: [
            {
              kind: 'command',
              argv: 'nft -a list chain inet filter input'.split(' '),
              why: 'Shows the rule with its handle.',
              command: 'ip netns exec b nft -a list chain inet filter input',
            },
          ],
          takesEffect: 'at-once',
        },
      ],
      consequences: [],
    },
  ],
  benign: [
    {
      id: 'benign-socket-teardown',
      packets: 40,
      text: 'Sockets that were closed freed what nobody will read any more.',
    },
  ],
  unexplained: [
    { reason: 'NOT_SPECIFIED', location: 'foo_rcv', protocol: 0x0800, packets: 4 },
    { reason: null, location: '0xffffffff81234567', protocol: 0x88cc, packets: 1 },
  ],
  elsewhere: {
    packets: 300,
    text: 'The tracepoint sees the whole host and does not say in which network namespace a packet died. No counter of network namespace b accounts for these, so they are taken for drops of other namespaces.',
    drops: [{ reason: 'NETFILTER_DROP', location: 'nf_hook_slow', protocol: 0x86dd, packets: 300 }],
  },
  reconciliation: [
    {
      counter: 'TcpExtIPReversePathFilter',
      rise: 12_300,
      byEvents: 12_300,
      beforeEvents: 0,
    },
    { counter: 'vb rx_missed_errors', rise: 17, byEvents: 0, beforeEvents: 17 },
  ],
  uncounted: [{ reason: 'NO_SOCKET', location: 'ping_rcv', protocol: 0x0800, packets: 2 }],
  notJudged: [
    { rule: 'nic-rx-ring', missing: ['ethtool: not installed. Install the package ethtool.'] },
    { rule: 'nic-tx-ring', missing: ['ethtool: not installed. Install the package ethtool.'] },
    { rule: 'nic-crc', missing: ['ethtool: not installed. Install the package ethtool.'] },
    { rule: 'udp-rcvbuf', missing: ['sockets: /proc/net/udp may only be read by root.'] },
    { rule: 'wifi-retry', missing: ['wireless: no such interface here.'] },
  ],
  suppressed: [{ id: 'softnet-squeeze', reason: 'known, ticket 4711' }],
  crashed: [{ id: 'tcp-listen-overflow', error: 'TypeError: x is undefined' }],
  checks: [
    { id: 'drops', core: true, status: 'ok', tookMs: 5012.3 },
    { id: 'snmp', core: true, status: 'ok', notes: ['2 lines of 31 were garbled.'], tookMs: 0.8 },
    {
      id: 'ethtool',
      status: 'absent',
      reason: 'not installed. Install the package ethtool.',
      tookMs: 1.25,
    },
    {
      id: 'sockets',
      status: 'denied',
      reason: '/proc/net/udp may only be read by root.',
      tookMs: 0.1,
    },
    {
      id: 'wireless',
      status: 'not-applicable',
      reason: 'no such interface here.',
      tookMs: 0,
    },
  ],
  notes: ['The counter UdpInErrors of namespace b went down in the window and was left out.'],
};
