import type { BpfPrograms } from '../../checks/programs.ts';
import { isFilterHook, type Qdiscs } from '../../checks/qdisc.ts';
import type { TcFilter } from '../../checks/qdisc/filters.ts';
import type { Sampled } from '../../src/model/check.ts';
import { rise } from '../../src/model/counter.ts';
import { packetsOf, type DropCapture, type DropCount } from '../../src/model/drops.ts';
import type { CauseFinding, Claim, Finding, JudgeWindow, Scope } from '../../src/model/rule.ts';
import { heldBy, observedHolders } from '../bpf-program.ts';
import { areStray, dropsOf, seen, strays } from '../ip/evidence.ts';

/** One of the two places where tc filters act: before and after all queues. */
export interface TcHook {
  readonly direction: TcFilter['direction'];
  readonly reasons: readonly string[];
  /** On kernels without reasons. */
  readonly locations: readonly string[];
  readonly traffic: NonNullable<CauseFinding['traffic']>;
}

interface TcEvidence {
  readonly drops: DropCapture;
  readonly qdisc: Sampled<Qdiscs> | undefined;
  readonly programs: Sampled<BpfPrograms> | undefined;
}

interface Dropper {
  readonly device: string;
  readonly kind: string;
  readonly packets: number;
  readonly first: bigint;
  readonly last: bigint;
  readonly filters: readonly TcFilter[];
}

/** More filters than these are counted, not named. */
const NAMED_FILTERS = 3;

export function judgeTc(
  hook: TcHook,
  { drops, qdisc, programs }: TcEvidence,
  window: JudgeWindow,
): readonly Finding[] {
  const { direction, reasons, locations, traffic } = hook;
  const droppers = droppersOf(qdisc, direction);
  const counted = packetsOf(droppers);
  const events = drops.hasReasons
    ? packetsOf(dropsOf(drops, { reasons }))
    : Math.min(packetsOf(dropsOf(drops, { reasons: [null], locations })), counted);
  // One counter for both directions; programs attached without a qdisc (tcx) have none.
  const packets = window.severalNetns ? Math.min(events, counted) : events;
  const claims: readonly Claim[] = [
    { reason: reasons, packets },
    { reason: null, location: locations, packets },
  ];
  if (areStray(packets, window)) {
    return strays(`A few packets that a tc filter on ${direction} dropped.`, claims, window);
  }
  const suspects = [
    ...suspectFilters(droppers, direction),
    // Of those nothing counts; what the qdiscs counted others have dropped.
    ...(packets > counted ? suspectTcx(qdisc, direction, dropsOf(drops, { reasons })) : []),
  ];
  const named = suspects.slice(0, NAMED_FILTERS);
  const [only] = suspects;
  const devices = new Set([...droppers, ...suspects].map(({ device }) => device));
  const [device] = devices;
  const police = droppers.some(({ filters }) =>
    filters.some(({ actions }) => actions.includes('police')),
  );
  const scope: Scope = {
    ...(devices.size === 1 && device !== undefined ? { interface: device } : {}),
    ...(suspects.length === 1 && only !== undefined
      ? { rule: `${only.name}${only.program === undefined ? '' : heldBy(programs, only.program)}` }
      : {}),
  };
  const finding: CauseFinding = {
    kind: 'cause',
    confidence: window.severalNetns ? 'likely' : 'certain',
    packets,
    traffic,
    // Somebody put it there.
    severityAtMost: 'warning',
    scope,
    because: [
      ...seen(packets, `at the tc hook for ${direction}`),
      ...droppers.map(({ device, kind, packets, first, last }) => ({
        source: `tc -s qdisc show dev ${device} ${kind}`,
        text: `${packets} packets dropped by filters`,
        first: String(first),
        last: String(last),
      })),
      ...named.map(({ source, name, device }) => ({ source, text: `${name} on ${device}` })),
      ...observedHolders(
        programs,
        named.flatMap(({ program }) => program ?? []),
      ),
      ...(suspects.length > named.length
        ? [{ source: 'tc filter', text: `${suspects.length - named.length} more filters` }]
        : []),
    ],
    means: police
      ? `A tc policer limits the rate on ${direction} and drops what is above. Where the drops come in bursts, its burst size is too small.`
      : `A tc filter or BPF program drops these packets on ${direction}. It is a fault only if this traffic is wanted.`,
    rulesOut: [
      { id: 'nf-rule-drop', because: 'the firewall gives its drops another reason' },
      { id: 'qdisc-overlimit', because: 'filters dropped these, not a full queue' },
    ],
    fixes: [
      {
        id: `correct-tc-${direction}`,
        title: police ? 'Raise the rate or burst of the policer' : 'Correct the filter or program',
        risk: 'disruptive',
        cost: 'traffic flows that somebody wanted stopped or limited',
        takesEffect: 'at-once',
        steps: [
          {
            kind: 'manual',
            text: police
              ? `tc -s filter show dev INTERFACE ${direction} shows rate and burst. A burst below ten packets of full size, or below rate/250, drops even slow traffic.`
              : `tc -s filter show dev INTERFACE ${direction} and bpftool net name the filter and its program; its owner (Cilium, a container runtime, a script) knows why it drops.`,
          },
        ],
      },
    ],
    claims,
  };
  return [finding];
}

/** Devices whose hooks dropped packets, with the filters there of this direction. */
function droppersOf(
  qdisc: Sampled<Qdiscs> | undefined,
  direction: TcFilter['direction'],
): readonly Dropper[] {
  if (qdisc === undefined) return [];
  const before = new Map(
    qdisc.first.qdiscs.filter(isFilterHook).map(({ device, dropped }) => [device, dropped]),
  );
  return qdisc.last.qdiscs.filter(isFilterHook).flatMap(({ device, kind, dropped: last }) => {
    const first = before.get(device);
    const packets = rise(first, last);
    const known = qdisc.last.filters?.get(device);
    const filters = (known ?? []).filter((filter) => filter.direction === direction);
    // The counter is of both directions: it cannot have been this one if nothing hangs here.
    if (packets === 0 || first === undefined || (known !== undefined && filters.length === 0)) {
      return [];
    }
    return [{ device, kind, packets, first, last, filters }];
  });
}

/** What can have dropped them. */
interface Suspect {
  readonly device: string;
  readonly name: string;
  /** Number of its BPF program. */
  readonly program?: number;
  /** Where to look it up. */
  readonly source: string;
}

function suspectFilters(
  droppers: readonly Dropper[],
  direction: TcFilter['direction'],
): readonly Suspect[] {
  const source = `tc filter show dev INTERFACE ${direction}`;
  return droppers.flatMap(({ device, filters }) =>
    filters.map((filter) => ({
      device,
      name: nameOf(filter),
      ...(filter.program !== undefined && { program: filter.program.id }),
      source,
    })),
  );
}

function suspectTcx(
  qdisc: Sampled<Qdiscs> | undefined,
  direction: TcFilter['direction'],
  drops: readonly DropCount[],
): readonly Suspect[] {
  const seenOn = new Set(drops.map(({ details }) => details?.interface ?? null));
  return (qdisc?.last.tcx ?? [])
    .filter((tcx) => tcx.direction === direction && (seenOn.has(null) || seenOn.has(tcx.device)))
    .map(({ device, program: { id, name } }) => ({
      device,
      name: `BPF program ${name === '' ? '' : `${name} `}(id ${id}), attached by tcx`,
      program: id,
      source: 'bpftool net',
    }));
}

function nameOf({ kind, preference, program, actions }: TcFilter): string {
  const place = preference === undefined ? '' : ` (pref ${preference})`;
  if (program !== undefined) return `BPF program ${program.name} (id ${program.id})${place}`;
  const does = actions.length === 0 ? '' : `, ${actions.join(', ')}`;
  return `${kind} filter${place}${does}`;
}
