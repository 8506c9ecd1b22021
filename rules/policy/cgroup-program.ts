import { unitOf, type BpfPrograms, type CgroupAttachment } from '../../checks/programs.ts';
import type { Sampled } from '../../src/model/check.ts';
import type { DropCapture, DropCount } from '../../src/model/drops.ts';
import type { Fix } from '../../src/model/fix.ts';
import type { Observation } from '../../src/model/rule.ts';
import { quoteArgv } from '../../src/model/shell-quote.ts';
import { heldBy, observedHolders } from '../bpf-program.ts';

/** More suspects are counted, not named. */
const NAMED_PROGRAMS = 4;

/** A program that is attached to a control group. */
interface Suspect {
  readonly id: number;
  /** `BPF program sd_fw_egress (id 12) of control group /system.slice/web.service` */
  readonly text: string;
  /** `, held by systemd (pid 1)`; empty: nobody is known. */
  readonly heldBy: string;
  /** Its systemd unit, if the name of the program is one that systemd gives. */
  readonly unit?: string;
}

/** Programs of control groups that may have dropped something. */
export interface Suspects {
  readonly programs: Sampled<BpfPrograms>;
  readonly direction: CgroupAttachment['direction'];
  readonly suspects: readonly Suspect[];
  /** There are no others. */
  readonly complete: boolean;
  /** They are those that judge the sockets whose packets were dropped; else all of the machine. */
  readonly bySocket: boolean;
}

/**
 * Who can have dropped these packets: the kernel asks the programs of the socket's control group and of those above
 * it (cgroup_bpf_run_filter_skb, compute_effective_progs, Linux 6.18). Undefined: nobody could look.
 */
export function suspectsOf(
  direction: CgroupAttachment['direction'],
  programs: Sampled<BpfPrograms> | undefined,
  capture: DropCapture,
  drops: readonly DropCount[],
): Suspects | undefined {
  if (programs === undefined) return undefined;
  const { attached, allAttached } = programs.last;
  const ofDirection = attached.filter((attachment) => attachment.direction === direction);
  const cgroups = cgroupsOf(capture, drops);
  const judging = ofDirection.filter(
    ({ cgroup }) => cgroups?.some((inside) => isWithin(inside, cgroup)) ?? true,
  );
  return {
    programs,
    direction,
    suspects: judging.flatMap((attachment) =>
      attachment.programs.map((id) => suspect(attachment.cgroup, id, programs)),
    ),
    complete: allAttached,
    bySocket: cgroups !== undefined,
  };
}

/** Control groups of the sockets whose packets these were. Undefined: those of some are not known. */
function cgroupsOf(
  { cgroups }: DropCapture,
  drops: readonly DropCount[],
): readonly string[] | undefined {
  const found = new Set<string>();
  for (const { packets, details } of drops) {
    const flows = details?.topFlows ?? [];
    const known = flows.reduce((sum, flow) => {
      const cgroup = cgroups?.get(flow.socket ?? 0);
      if (cgroup !== undefined) found.add(cgroup);
      return cgroup === undefined ? sum : sum + flow.packets;
    }, 0);
    if (known < packets) return undefined;
  }
  return found.size === 0 ? undefined : [...found];
}

function isWithin(inside: string, cgroup: string): boolean {
  return cgroup === '/' || inside === cgroup || inside.startsWith(`${cgroup}/`);
}

function suspect(cgroup: string, id: number, programs: Sampled<BpfPrograms>): Suspect {
  const name = programs.last.programs.get(id)?.name ?? '';
  // src/core/bpf-firewall.c of systemd. Anybody may use the name.
  const unit = /^sd_fw_(?:in|e)gress$/.test(name) ? unitOf(cgroup) : undefined;
  return {
    id,
    text: `BPF program ${name === '' ? '' : `${name} `}(id ${id}) of control group ${cgroup}`,
    heldBy: heldBy(programs, id),
    ...(unit !== undefined && { unit }),
  };
}

/** Undefined: there are several, or there may be. */
export function theOne(found: Suspects | undefined): Suspect | undefined {
  const [only, ...others] = found?.suspects ?? [];
  return found?.complete === true && others.length === 0 ? only : undefined;
}

/** Each of them, and how it comes to be one. */
export function observedSuspects(found: Suspects | undefined): readonly Observation[] {
  if (found === undefined) return [];
  const { direction, suspects, bySocket, complete, programs } = found;
  const source = 'bpftool cgroup tree';
  const whose = `for ${direction} ${bySocket ? 'of these sockets' : 'on this machine'}`;
  const more = suspects.length - NAMED_PROGRAMS;
  if (suspects.length === 0) {
    return complete ? [{ source, text: `no control group has a program ${whose} now` }] : [];
  }
  const only = theOne(found);
  if (only !== undefined) {
    return [
      { source, text: `the only program ${whose}: ${only.text}${madeFor(only)}` },
      ...observedHolders(programs, [only.id]),
    ];
  }
  const count = `one of ${suspects.length}${complete ? '' : ' or more'} programs`;
  return [
    ...suspects.slice(0, NAMED_PROGRAMS).map((one) => ({
      source,
      text: `${count} ${whose}: ${one.text}${one.heldBy}${madeFor(one)}`,
    })),
    ...(more > 0 ? [{ source, text: `${more} more` }] : []),
  ];
}

function madeFor({ unit }: Suspect): string {
  return unit === undefined ? '' : `; by its name systemd made it for IPAddressDeny= of ${unit}`;
}

/**
 * whydrop never changes a policy: it says who made it, or how to find out. No commands that could run in a network
 * namespace: `ip netns exec` hides the control groups.
 */
export function changeThePolicy(
  attachType: 'cgroup_inet_egress' | 'cgroup_inet_ingress',
  found: Suspects | undefined,
): Fix {
  const suspects = found?.suspects ?? [];
  const units = [...new Set(suspects.flatMap(({ unit }) => unit ?? []))].slice(0, NAMED_PROGRAMS);
  const texts =
    suspects.length > 0
      ? units.map(
          (unit) => `${quoteArgv([...SHOW_POLICY, '--', unit])} shows what systemd forbids it.`,
        )
      : [`bpftool cgroup tree lists the programs; ${attachType} is the kind to look for.`];
  return {
    id: 'find-the-policy',
    title: 'If the traffic is wanted, change the policy where it was made',
    risk: 'disruptive',
    cost: 'It allows what somebody chose to forbid.',
    steps: [
      ...texts,
      `A program named sd_fw_… is of systemd: ${SHOW_POLICY.join(' ')} UNIT. Otherwise it is of the container network: change its network policy.`,
    ].map((text) => ({ kind: 'manual', text })),
    takesEffect: 'at-once',
  };
}

const SHOW_POLICY = ['systemctl', 'show', '-p', 'IPAddressAllow,IPAddressDeny'] as const;
