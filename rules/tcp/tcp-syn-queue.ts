import kernelLog from '../../checks/kernel-log.ts';
import snmp, { type Snmp } from '../../checks/snmp.ts';
import sysctl, { type Sysctl } from '../../checks/sysctl.ts';
import type { Sampled } from '../../src/model/check.ts';
import type { Fix } from '../../src/model/fix.ts';
import { defineRule, type CauseFinding } from '../../src/model/rule.ts';
import { sysctlStep } from '../../src/model/sysctl-step.ts';
import { withKernelWords } from '../kernel-messages.ts';
import { observedRises, rises } from '../protocol-counters.ts';

const DROPS = 'TcpExt.TCPReqQFullDrop';
const COOKIES = 'TcpExt.TCPReqQFullDoCookies';
/** netdata's tcp_listen.conf warns above one a second; less is a burst, or a scan. */
const COOKIES_PER_SECOND = 1;
/** A burst that comes once, whatever the length of the window. */
const COOKIES_MIN = 10;
const cookiesKey = 'net.ipv4.tcp_syncookies';
const limitKey = 'net.ipv4.tcp_max_syn_backlog';

export default defineRule({
  id: 'tcp-syn-queue',
  title: 'Too many half-open TCP connections',
  needs: { snmp },
  wants: { sysctl, kernelLog },
  reviewed: '2026-11-22',
  explain: {
    see: 'New connections to a service time out while open ones work. The kernel log says "Possible SYN flooding on port …".',
    kernel:
      'A request that was answered, but not yet confirmed by the client, is half-open. If a listening socket has as many of them as its backlog, `tcp_conn_request` (net/ipv4/tcp_input.c) answers with a SYN cookie, which needs no memory (`TcpExt TCPReqQFullDoCookies`); nothing is lost. With `tcp_syncookies=0` it ignores the request: `TCPReqQFullDrop` and `ListenDrops`. Then it also keeps the last quarter of `tcp_max_syn_backlog` for clients it knows, and others count in `ListenDrops` alone. There is no drop event for any of them (Linux 6.18).',
    confirm:
      '`nstat -az TcpExtTCPReqQFullDrop TcpExtTCPReqQFullDoCookies TcpExtListenDrops TcpExtSyncookiesFailed`; `ss -tn state syn-recv` lists the half-open ones.',
    fix: '`sysctl -w net.ipv4.tcp_syncookies=1` (the default) ends the loss. Sources that are many and never complete are a flood: filter them upstream, or with nftables synproxy. Otherwise the backlog of the service is small: raise it in its configuration.',
    normal:
      'SYN cookies under a burst of connections. Only options of those few connections are lost (window scaling, where time stamps are off).',
    references: [
      'net/ipv4/tcp_input.c tcp_conn_request, tcp_syn_flood_action (Linux 6.18)',
      'Documentation/networking/ip-sysctl.rst, tcp_syncookies, tcp_max_syn_backlog',
    ],
  },
  judge({ snmp, sysctl, kernelLog }, { seconds }) {
    const cookies = sysctl?.last.number(cookiesKey);
    const full = rises(snmp, [DROPS]);
    // Requests refused for neither queue: without cookies it is tcp_max_syn_backlog, otherwise memory or routes.
    const others =
      rises(snmp, ['TcpExt.ListenDrops']) - rises(snmp, ['TcpExt.ListenOverflows']) - full;
    const beyondLimit = cookies === 0 ? Math.max(0, others) : 0;
    const packets = full + beyondLimit;
    const manyCookies =
      rises(snmp, [COOKIES]) >= Math.max(COOKIES_MIN, COOKIES_PER_SECOND * seconds);
    const findings =
      packets > 0
        ? [lost(packets, beyondLimit, snmp, sysctl?.last)]
        : manyCookies
          ? [atWork(snmp)]
          : [];
    // The log names the port.
    return withKernelWords(findings, kernelLog, 'syn-flood');
  },
});

function lost(
  packets: number,
  beyondLimit: number,
  snmp: Sampled<Snmp>,
  sysctl: Sysctl | undefined,
): CauseFinding {
  const cookies = sysctl?.number(cookiesKey);
  const limit = sysctl?.number(limitKey);
  const completed = rises(snmp, ['Tcp.PassiveOpens']);
  return {
    kind: 'cause',
    confidence: beyondLimit === 0 ? 'certain' : 'likely',
    packets,
    traffic: { packets: packets + completed, what: 'TCP connection requests' },
    scope: {},
    because: [
      ...observedRises(snmp, [DROPS], 'requests refused by a full queue of half-open connections'),
      ...(beyondLimit === 0
        ? []
        : [
            {
              source: '/proc/net/netstat TcpExt ListenDrops',
              text: `${beyondLimit} requests refused by neither queue, as happens beyond three quarters of ${limitKey}${limit === undefined ? '' : ` = ${limit}`} without SYN cookies`,
              first: String(snmp.first.counters.get('TcpExt.ListenDrops')),
              last: String(snmp.last.counters.get('TcpExt.ListenDrops')),
            },
          ]),
      ...(cookies === undefined
        ? []
        : [{ source: cookiesKey, text: cookieText(cookies), last: String(cookies) }]),
    ],
    means: `More connections to a service here are half-open than it has room for, so new requests are ignored. ${completed} were completed meanwhile: ${
      completed < packets / 10
        ? 'most clients never complete theirs, as in a SYN flood.'
        : 'clients do complete theirs, so there is too little room.'
    }`,
    rulesOut: [
      {
        id: 'tcp-listen-overflow',
        because: `full accept queues are counted apart: ListenOverflows +${rises(snmp, ['TcpExt.ListenOverflows'])}`,
      },
    ],
    fixes:
      cookies === 0
        ? [useCookies(beyondLimit === 0 ? DROPS : 'TcpExt.ListenDrops')]
        : [longerBacklog()],
    claims: [],
    beforeEvents: true,
  };
}

function cookieText(cookies: number): string {
  return cookies === 0
    ? 'SYN cookies are off'
    : 'SYN cookies are on; a program can still refuse them for its own socket';
}

/** Nothing is lost: it is told because it is often the first sign of a flood, or of a backlog that is too small. */
function atWork(snmp: Sampled<Snmp>): CauseFinding {
  return {
    kind: 'cause',
    confidence: 'certain',
    packets: 0,
    severityAtMost: 'notice',
    scope: {},
    because: [
      ...observedRises(snmp, [COOKIES], 'requests answered by a SYN cookie for want of room'),
      ...observedRises(snmp, ['TcpExt.SyncookiesFailed'], 'answers that fit no SYN cookie'),
    ],
    means:
      'More connections to a service here are half-open than it has room for. SYN cookies take over, so none is lost. It is a SYN flood, or the backlog of the service is small for its traffic.',
    rulesOut: [],
    fixes: [],
    claims: [],
  };
}

function useCookies(counter: string): Fix {
  return {
    id: 'syn-cookies',
    title: 'Answer with SYN cookies when there is no room',
    risk: 'safe',
    cost: 'Connections opened by a cookie may lack some TCP options (window scaling, SACK) where time stamps are off.',
    steps: [sysctlStep(cookiesKey, 0, 1)],
    expect: {
      counter: `snmp ${counter}`,
      change: 'stops-rising',
      traffic: 'snmp Tcp.InSegs',
    },
    takesEffect: 'at-once',
  };
}

function longerBacklog(): Fix {
  return {
    id: 'longer-backlog',
    title: 'Give the service a larger backlog, or keep a flood out',
    risk: 'caution',
    cost: 'Some memory for each half-open connection.',
    steps: [
      {
        kind: 'manual',
        text: 'See who they are: ss -tn state syn-recv. Many sources that never complete are a flood: filter it upstream. Otherwise raise the backlog in the configuration of the service (and net.core.somaxconn if that is lower), and restart it.',
      },
    ],
    takesEffect: 'new-sockets',
  };
}
