import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { findTypes, readVmlinux } from '../../capture/bpf/capture.ts';
import { loadKoffi, loadLibBpf } from '../../capture/bpf/libbpf.ts';
import { attachProgram } from '../../capture/bpf/program.ts';
import { parseEventFormat } from '../../capture/event-format.ts';
import { prepareTracefsCapture } from '../../capture/tracefs.ts';
import { openTracefs } from '../../capture/tracefs-mount.ts';
import { ok, type Reading } from '../../model/reading.ts';
import type { Capability } from '../../model/self-check.ts';

const group = 'capture';
const withoutBpf = 'drops carry no interface, namespace or flow';

/** The live capture: both ways are tried for real, up to where drops would be counted. */
export async function captureCapabilities(): Promise<readonly Capability[]> {
  const bpf = await bpfCapabilities();
  const worksByBpf = bpf.every(({ status }) => status === 'ok');
  const tracefs = await tryTracefs();
  const fields = tracefs.status === 'ok' ? tracefs.value : await fieldsFromTypes();
  return [
    eventCapability(fields),
    ...bpf,
    {
      id: 'tracefs',
      group,
      title: 'tracefs',
      ...(tracefs.status === 'ok'
        ? { status: 'ok', found: 'a private trace instance can be made' }
        : worksByBpf
          ? { status: 'not-needed', found: tracefs.reason }
          : {
              status: 'missing',
              found: tracefs.reason,
              without: 'drops cannot be watched where BPF is not possible',
            }),
    },
    symbolCapability(),
  ];
}

async function bpfCapabilities(): Promise<readonly Capability[]> {
  const types = findTypes();
  const koffi = await loadKoffi();
  const lib = koffi.status === 'ok' ? await loadLibBpf() : undefined;
  const parts = [
    found('btf', 'Kernel types (BTF)', types, types.status === 'ok' ? types.value : ''),
    found('koffi', 'koffi', koffi, 'loaded'),
    lib === undefined
      ? notTried('libbpf', 'libbpf', 'koffi')
      : found('libbpf', 'libbpf', lib, 'loaded'),
  ];
  if (lib?.status !== 'ok' || types.status !== 'ok') {
    return [...parts, notTried('bpf', 'BPF program', 'the above')];
  }
  const attached = attachProgram(lib.value, { netns: 0, ifindex: 0 });
  if (attached.status === 'ok') attached.value.finish();
  return [...parts, found('bpf', 'BPF program', attached, 'can be loaded and attached')];
}

function found(id: string, title: string, reading: Reading<unknown>, whenOk: string): Capability {
  return reading.status === 'ok'
    ? { id, group, title, status: 'ok', found: whenOk }
    : { id, group, title, status: 'missing', found: reading.reason, without: withoutBpf };
}

function notTried(id: string, title: string, needed: string): Capability {
  return { id, group, title, status: 'missing', found: `not tried: it needs ${needed}` };
}

/** What the trace event tells besides the location. */
interface EventFields {
  readonly reason: boolean;
  readonly socket: boolean;
}

async function tryTracefs(): Promise<Reading<EventFields>> {
  const tracefs = await openTracefs();
  if (tracefs.status !== 'ok') return tracefs;
  const { directory } = tracefs.value;
  try {
    const ready = await prepareTracefsCapture({ tracing: directory });
    if (ready.status !== 'ok') return ready;
    ready.value.release();
    const text = readFileSync(`${directory}/events/skb/kfree_skb/format`, 'utf8');
    const fields = parseEventFormat(text)?.fields;
    return ok({ reason: fields?.has('reason') === true, socket: fields?.has('rx_sk') === true });
  } finally {
    await tracefs.value.close();
  }
}

/** The same without root: (skb, location, reason, socket), behind the data of who listens. */
async function fieldsFromTypes(): Promise<EventFields | null> {
  const types = readVmlinux();
  if (types.status !== 'ok') return null;
  const [, , , reason, socket] = types.value.parametersOfPointer('btf_trace_kfree_skb') ?? [];
  return { reason: reason === 'skb_drop_reason', socket: socket === 'sock' };
}

function eventCapability(fields: EventFields | null): Capability {
  const event = { id: 'event', group, title: 'Trace event skb:kfree_skb' } as const;
  if (fields === null) {
    return { ...event, status: 'missing', found: 'it cannot be looked at: see below' };
  }
  if (!fields.reason) {
    return {
      ...event,
      status: 'missing',
      found: 'it gives no drop reason',
      without: 'causes are told by kernel function and counters, and some cannot be told apart',
      help: 'Linux 5.17 or newer',
    };
  }
  const socket = fields.socket
    ? 'and the receiving socket'
    : 'but not the receiving socket (Linux 6.11 does)';
  return { ...event, status: 'ok', found: `it gives a drop reason, ${socket}` };
}

/** Addresses are zero where kernel.kptr_restrict hides them. */
function symbolCapability(): Capability {
  const symbols = { id: 'symbols', group, title: 'Kernel symbols' } as const;
  const without = 'kernel functions show as addresses, and causes told by function are missed';
  try {
    const file = openSync('/proc/kallsyms', 'r');
    try {
      const start = Buffer.alloc(4096);
      const bytes = readSync(file, start);
      if (/^0*[1-9a-f]/m.test(start.toString('latin1', 0, bytes))) {
        return { ...symbols, status: 'ok', found: '/proc/kallsyms gives addresses' };
      }
    } finally {
      closeSync(file);
    }
  } catch {
    return { ...symbols, status: 'missing', found: '/proc/kallsyms cannot be read', without };
  }
  return {
    ...symbols,
    status: 'missing',
    found: 'the kernel hides addresses in /proc/kallsyms',
    without,
    help: 'root, and sysctl kernel.kptr_restrict=1',
  };
}
