import type { BpfPrograms } from '../../checks/programs.ts';
import { isFilterHook, type Qdiscs } from '../../checks/qdisc.ts';
import type { TcFilter } from '../../checks/qdisc/filters.ts';
import type { Sampled } from '../../src/model/check.ts';
import { rise } from '../../src/model/counter.ts';
import type { DropCapture } from '../../src/model/drops.ts';
import type { CauseFinding, Claim, Finding, JudgeWindow, Scope } from '../../src/model/rule.ts';
import { heldBy, observedHolders } from '../bpf-program.ts';
import { areStray, dropsOf, packetsOf, seen, strays } from '../ip/evidence.ts';

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
  const filters = droppers.flatMap((dropper) =>
    dropper.filters.map((filter) => ({ dropper, filter })),
  );
  const names = filters
    .slice(0, NAMED_FILTERS)
    .map(({ dropper, filter }) => `${nameOf(filter)} on ${dropper.device}`);
  const [only] = filters;
  const police = filters.some(({ filter }) => filter.actions.includes('police'));
  const scope: Scope = {
    ...(droppers.length === 1 && droppers[0] !== undefined
      ? { interface: droppers[0].device }
      : {}),
    ...(filters.length === 1 && only !== undefined ? { rule: nameOf(only.filter, programs) } : {}),
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
      ...names.map((text) => ({ source: `tc filter show dev INTERFACE ${direction}`, text })),
      ...observedHolders(
        programs,
        filters.slice(0, NAMED_FILTERS).flatMap(({ filter }) => filter.program?.id ?? []),
      ),
      ...(filters.length > names.length
        ? [{ source: 'tc filter', text: `${filters.length - names.length} more filters` }]
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

function nameOf(
  { kind, preference, program, actions }: TcFilter,
  programs?: Sampled<BpfPrograms>,
): string {
  const place = preference === undefined ? '' : ` (pref ${preference})`;
  if (program !== undefined) {
    return `BPF program ${program.name} (id ${program.id})${place}${heldBy(programs, program.id)}`;
  }
  const does = actions.length === 0 ? '' : `, ${actions.join(', ')}`;
  return `${kind} filter${place}${does}`;
}
