import { existsSync, readFileSync } from 'node:fs';
import type { DropCapture } from '../../model/drops.ts';
import type { RunningCapture } from '../../model/host.ts';
import { ok, unread, type Reading } from '../../model/reading.ts';
import { readKallsyms } from '../kallsyms.ts';
import { Locations } from '../locations.ts';
import { errorCode } from '../unavailable.ts';
import { Btf } from './btf.ts';
import { attachCompanions, type AttachedCompanions } from './companion-program.ts';
import { companionsFrom } from './companions.ts';
import { addressesOf, dropKinds } from './drop-kinds.ts';
import { loadLibBpf, type LibBpf } from './libbpf.ts';
import { attachProgram, type AttachedProgram, type RawCapture } from './program.ts';
import { givesReasons, kernelReasons } from './reason-names.ts';

export interface BpfCaptureOptions {
  /** Inode number of a network namespace: count drops of this one only. Those of no known namespace too. */
  readonly netns?: number;
  /** Number of an interface, best along with `netns`: numbers repeat between namespaces. Likewise. */
  readonly ifindex?: number;
}

/** What a capture needs before it asks the kernel for anything. Cheap when called again. */
export async function findBpf(): Promise<Reading<LibBpf>> {
  const types = findTypes();
  return types.status === 'ok' ? loadLibBpf() : types;
}

/** @returns path of the kernel's own BTF */
export function findTypes(): Reading<string> {
  if (existsSync(vmlinuxPath)) return ok(vmlinuxPath);
  return unread(
    'absent',
    `Cannot watch drops by BPF: this kernel does not describe its types (${vmlinuxPath}, CONFIG_DEBUG_INFO_BTF).`,
  );
}

/**
 * Starts to count the drops of the whole machine (`skb:kfree_skb`) by a BPF program in the kernel.
 * It belongs to this process: with the process it goes, however that ends.
 *
 * Beyond what tracefs tells, each kind of drop carries its namespace, interface, IP protocol, top flows, a few
 * packets and a stack; and no event is lost in a storm.
 */
export async function startBpfCapture(
  options: BpfCaptureOptions = {},
): Promise<Reading<RunningCapture>> {
  const lib = await findBpf();
  if (lib.status !== 'ok') return lib;
  const netns = options.netns ?? 0;
  const attached = attachProgram(lib.value, { netns, ifindex: options.ifindex ?? 0 });
  if (attached.status !== 'ok') return attached;
  const program = attached.value;

  let companions: Reading<AttachedCompanions> | undefined;
  let vmlinux: Reading<Btf> | undefined;
  const prepare = (): void => {
    companions ??= attachCompanions(lib.value, netns);
    vmlinux ??= readVmlinux();
  };
  // Drops count from now on. The rest is 80 ms of work, which passes while the programs of the first reading run:
  // within the window it would slow down what is measured.
  const preparing = setImmediate(prepare);
  let stopped: Promise<Reading<DropCapture>> | undefined;
  return ok({
    mark(moment) {
      if (moment === 'window-open') prepare();
      program.setWindow(moment === 'window-open');
    },
    stop() {
      clearImmediate(preparing);
      return (stopped ??= stop(program, companions, vmlinux ?? readVmlinux()));
    },
  });
}

async function stop(
  program: AttachedProgram,
  companions: Reading<AttachedCompanions> | undefined,
  vmlinux: Reading<Btf>,
): Promise<Reading<DropCapture>> {
  const raw = program.finish();
  const told = companions?.status === 'ok' ? companionsFrom(companions.value.finish()) : undefined;
  if (raw.status !== 'ok') return raw;
  const capture = raw.value;
  const locations = new Locations(readKallsyms);
  await locations.learn([...addressesOf(capture)]);
  if (vmlinux.status !== 'ok') return vmlinux;
  const hasReasons = givesReasons(vmlinux.value);
  const drops = dropKinds(capture, {
    hasReasons,
    reasons: kernelReasons(vmlinux.value, reasonsOf(capture)),
    locations: locations.known,
    bootUs: Date.now() * 1000 - Number(process.hrtime.bigint() / 1000n),
  });
  const unselected = capture.tables.reduce((sum, table) => sum + table.unselected, 0);
  return ok(
    {
      backend: 'bpf',
      events: drops.reduce((sum, { packets }) => sum + packets, 0),
      lost: capture.missed,
      hasReasons,
      drops,
      ...(unselected > 0 && { unselected }),
      ...(told !== undefined && { companions: told }),
    },
    [...locations.notes, ...notesOf(companions)],
  );
}

/** What the report should say of tracepoints that are not watched. */
function notesOf(companions: Reading<AttachedCompanions> | undefined): readonly string[] {
  if (companions === undefined) return [];
  if (companions.status === 'ok') return companions.notes ?? [];
  return [
    `Which sockets were full and which peers lose packets is not known: ${companions.reason}`,
  ];
}

function reasonsOf(capture: RawCapture): ReadonlySet<number> {
  return new Set(capture.tables.flatMap(({ counts }) => counts.map(({ reason }) => reason)));
}

const vmlinuxPath = '/sys/kernel/btf/vmlinux';

export function readVmlinux(): Reading<Btf> {
  try {
    return ok(new Btf(readFileSync(vmlinuxPath)));
  } catch (error) {
    return unread('malformed', `${vmlinuxPath} cannot be read (${errorCode(error)}).`);
  }
}
