import { UNEXPLAINED_PACKETS } from '../engine/verdict.ts';
import type { Confirmation } from '../catalogue/locations.ts';
import {
  hasLost,
  isSuspect,
  lossOf,
  type ImportedDrop,
  type ImportFinding,
  type ImportReport,
  type InterfaceHistory,
  type UnresolvedDrop,
} from '../model/import-report.ts';
import type { Verdict } from '../model/report.ts';
import { judgeDrop } from './judge.ts';
import type { ReadOutput } from './read.ts';
import type { DropKind } from './tally.ts';

/** Destinations that the report names for each kind of drop. */
const NAMED_DESTINATIONS = 10;

/** What can be said about the output of other tools, and no more. */
export function importReport(
  { tally, formats, lines, understood }: ReadOutput,
  { file, version }: { file: string; version: string },
): ImportReport {
  const { kinds, unresolved, history } = tally;
  const judged = kinds.map((kind) => ({ kind, meaning: judgeDrop(kind) }));
  const unexplained = judged
    .filter(({ meaning }) => meaning === undefined)
    .map(({ kind }) => imported(kind));
  const drops = sum(kinds) + sum(unresolved) + tally.uncounted;

  const byTitle = new Map<string, ImportFinding>();
  for (const { kind, meaning } of judged) {
    if (meaning === undefined) continue;
    const known = byTitle.get(meaning.title);
    const packets = (known?.packets ?? 0) + kind.packets;
    byTitle.set(meaning.title, {
      ...(known ?? meaning),
      packets,
      share: packets / drops,
      drops: [...(known?.drops ?? []), imported(kind)],
    });
  }
  const all = [...byTitle.values()].sort((a, b) => b.packets - a.packets);
  const harmless = all.filter(({ judgement }) => judgement === 'harmless');
  const findings = [
    ...all.filter(isSuspect),
    ...all.filter(({ judgement }) => judgement === 'usually-harmless'),
  ];

  const found = {
    totals: {
      drops,
      findings: sum(findings),
      harmless: sum(harmless),
      unexplained: sum(unexplained) + tally.uncounted,
      unresolved: sum(unresolved),
    },
    findings,
    unexplained,
    unresolved: [...unresolved],
    history: [...history],
  };
  const verdict = verdictOf(found);
  const isClear = verdict === 'ok' && !findings.some(isSuspect) && unexplained.length === 0;
  const retransmits = isClear ? aboutRetransmits(kinds, drops) : null;
  const reasons = kinds.some(({ reason }) => reason !== null);
  return {
    schema: 'whydrop.import/1',
    tool: { name: 'whydrop', version },
    input: { file, formats: [...formats], lines, understood, seconds: tally.seconds, reasons },
    verdict,
    ...found,
    harmless,
    notes: [...notKeptApart(tally.uncounted), ...(retransmits === null ? [] : [retransmits])],
    missing: missing(kinds, history, { drops, reasons, seconds: tally.seconds, formats }),
    next: [
      ...nextCommands(found),
      ...(formats.includes('dropwatch') && unresolved.some(isBare) ? [withNames] : []),
      ...(retransmits === null ? [] : [seeRetransmits]),
    ],
  };
}

type Found = Pick<ImportReport, 'totals' | 'findings' | 'unexplained' | 'unresolved' | 'history'>;

/** The floor is that of unexplained drops in a report. */
function verdictOf({ totals, findings, history }: Found): Verdict {
  const suspects = sum(findings.filter(isSuspect)) + totals.unexplained;
  if (suspects >= UNEXPLAINED_PACKETS || history.some(rose)) return 'warning';
  if (totals.unresolved >= UNEXPLAINED_PACKETS) return 'unknown';
  if (totals.drops > 0) return totals.unresolved === totals.drops ? 'unknown' : 'ok';
  // Totals: how many, but not when. Nothing follows from them but zeros.
  return history.some(hasLost) ? 'unknown' : 'ok';
}

/** More was lost from one reading to the next than a floor, and than one packet in a thousand. */
function rose({ rise }: InterfaceHistory): boolean {
  return [rise?.rx, rise?.tx].some((counters) => {
    const lost = counters === undefined ? 0 : lossOf(counters);
    return lost >= UNEXPLAINED_PACKETS && lost * 1000 >= (counters?.packets ?? 0);
  });
}

function notKeptApart(packets: number): string[] {
  return packets === 0
    ? []
    : [`${packets} of the unexplained drops are at more places than whydrop keeps apart.`];
}

/** Functions that handle segments of TCP connections. */
const TCP = /^_*(?:tcp|inet_csk)_/;

/**
 * The question behind most pasted output: it is slow, and segments are sent again. Null where the
 * packets themselves are in the input, and tell.
 */
function aboutRetransmits(kinds: readonly DropKind[], drops: number): string | null {
  if (drops === 0 || kinds.some(({ destinations }) => destinations.size > 0)) return null;
  const tcp = sum(kinds.filter(({ location }) => TCP.test(location)));
  const segments =
    tcp === 0
      ? 'None of them is known to be a TCP segment.'
      : `At most ${tcp} of ${drops} are TCP segments, most likely ones that came twice, late or for no connection.`;
  return `If the complaint is retransmits or slow connections: these drops do not explain it. ${segments} Look for the loss on the path, at the other end, and in the counters of the network card.`;
}

function missing(
  kinds: readonly DropKind[],
  history: readonly InterfaceHistory[],
  input: Pick<ImportReport['input'], 'reasons' | 'seconds'> & {
    drops: number;
    formats: ImportReport['input']['formats'] | readonly string[];
  },
): string[] {
  const lines: string[] = [];
  if (input.drops > 0) {
    const absent = [
      kinds.every(({ protocol }) => protocol === null) && 'the protocol',
      kinds.every(({ interfaces }) => interfaces.size === 0) && 'the interface',
      kinds.every(({ destinations }) => destinations.size === 0) && 'the addresses',
    ].filter((what) => what !== false);
    if (!input.reasons) {
      lines.push(
        'Why: there are no drop reasons in it (Linux has them since 5.17). The functions carry the judgement, and most of them free packets for several causes.',
      );
    }
    if (absent.length > 0) lines.push(`Which packets: ${absent.join(', ')} are not in it.`);
    if (input.seconds === null) lines.push('How fast: it has no times, so there is no rate.');
    lines.push(
      'How much of the traffic that is: it does not say what arrived well.',
      'What was lost before the kernel had a packet in hand (the receive ring, the hardware), and connections refused by a full accept queue: no such event tells of them.',
    );
  }
  if (history.length > 0) {
    if (history.every(({ rise }) => rise === undefined)) {
      lines.push(
        'When: these counters run since boot, or since the interface was made. A second reading tells whether they still rise.',
      );
    }
    if (input.formats.includes('netstat -i')) {
      lines.push(
        'What kind: RX-DRP is the sum of frames that nothing handles (rx_dropped, usually harmless) and frames that the receive ring had no room for (rx_missed_errors, a loss).',
      );
    }
  }
  return lines;
}

function isBare({ refuted }: UnresolvedDrop): boolean {
  return refuted === undefined;
}

const withNames: Confirmation = {
  command: 'dropwatch -l kas',
  shows: 'the same again, with the names of functions',
};

const seeRetransmits: Confirmation = {
  command: 'nstat -n; sleep 60; nstat | grep -E "OutSegs|RetransSegs"',
  shows: 'how many segments were sent, and how many of them again, in that minute',
};

/** Interfaces whose counters are worth a look, named in commands. */
const NAMED_INTERFACES = 3;

function nextCommands({ totals, unresolved, history }: Found): Confirmation[] {
  const losing = history
    .filter(hasLost)
    .sort((a, b) => lossOf(b.rx) + lossOf(b.tx) - lossOf(a.rx) - lossOf(a.tx))
    .map((entry) => entry.interface)
    .filter((name) => /^[\w.-]+$/.test(name))
    .slice(0, NAMED_INTERFACES);
  const iface = losing.length > 0 ? ` -i ${losing.join(' ')}` : '';
  const [first = 'INTERFACE'] = losing;
  const next: Confirmation[] = [
    {
      command: `whydrop report -d 60s${iface}`,
      shows:
        'on that machine, as root: live drops, counters and settings in one window, judged (needs Node 20.19)',
    },
  ];
  if (history.length > 0) {
    next.push(
      {
        command: `tail -n 1 /sys/class/net/${first}/statistics/rx_dropped /sys/class/net/${first}/statistics/rx_missed_errors`,
        shows:
          'twice, a minute apart: whether it still drops; only rx_missed_errors is the receive ring',
      },
      { command: `ethtool -S ${first}`, shows: "the driver's own counters, which say more" },
    );
  }
  const [address] = unresolved.map((drop) => drop.address.replace(/^0x/, ''));
  if (address !== undefined && unresolved[0]?.area !== 'hidden') {
    next.push({
      command: `sort /proc/kallsyms | awk '$1 > "${address}" { exit } { last = $0 } END { print last }'`,
      shows: 'as root, before that machine boots again: the symbol and module at this address',
    });
  }
  if (totals.drops > 0 && history.length === 0) {
    next.push({
      command: 'ip -s -s link; sleep 60; ip -s -s link',
      shows: 'missed, errors and dropped that rise: loss that drop events do not show',
    });
  }
  return next;
}

function imported({ interfaces, destinations, ...drop }: DropKind): ImportedDrop {
  const { reason, location, module, protocol, packets } = drop;
  return {
    reason,
    location,
    ...(module !== undefined && { module }),
    protocol,
    interfaces: [...interfaces].sort(([, a], [, b]) => b - a).map(([name]) => name),
    destinations: [...destinations.values()]
      .sort((a, b) => b.packets - a.packets)
      .slice(0, NAMED_DESTINATIONS),
    packets,
  };
}

function sum(items: readonly { readonly packets: number }[]): number {
  return items.reduce((total, { packets }) => total + packets, 0);
}
