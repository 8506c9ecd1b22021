import { z } from 'zod';

import { RECORDING_FORMAT, type RecordingHeader, type RecordingLine } from './recording-format.ts';

const unread = z.object({
  status: z.enum(['absent', 'denied', 'timeout', 'malformed', 'not-applicable', 'crashed']),
  reason: z.string(),
  tried: z.array(z.object({ way: z.string(), reason: z.string() })).exactOptional(),
});

function readingOf<Value extends z.ZodType>(value: Value) {
  return z.discriminatedUnion('status', [
    z.object({
      status: z.literal('ok'),
      value,
      notes: z.array(z.string()).exactOptional(),
    }),
    unread,
  ]);
}

const count = z.int().min(0);

const commandOutput = z.object({ stdout: z.string(), stderr: z.string(), exitCode: z.int() });

const dropDetails = z.object({
  netns: count.nullable(),
  ifindex: count.nullable(),
  interface: z.string().nullable(),
  ipProtocol: count.nullable(),
  topFlows: z.array(
    z.object({
      source: z.string(),
      destination: z.string(),
      ports: z.object({ source: count, destination: count }).exactOptional(),
      icmp: z.object({ type: count, code: count }).exactOptional(),
      arpOperation: count.exactOptional(),
      vlan: count.exactOptional(),
      packets: count,
      socket: count.exactOptional(),
    }),
  ),
  flowCount: count,
  flowsApproximate: z.boolean(),
  samples: z.array(
    z.object({
      timeUs: z.number(),
      link: z.enum(['ethernet', 'network']),
      length: count,
      vlan: count.exactOptional(),
      bytes: z.string(),
    }),
  ),
  stack: z.array(z.string()),
});

const counted = { netns: count.nullable(), packets: count };

function tallyOf<Row extends z.ZodType>(row: Row) {
  return z.object({ rows: z.array(row), rest: z.array(z.object(counted)) }).nullable();
}

const peerEvents = z.object({
  ...counted,
  local: z.string().nullable(),
  localPort: count.nullable(),
  remote: z.string().nullable(),
  remotePort: count.nullable(),
  handshakePackets: count,
});

const companions = z.object({
  fullSockets: tallyOf(
    z.object({
      ...counted,
      limit: z.enum(['receive-buffer', 'memory']),
      protocol: z.string(),
      local: z.string().nullable(),
      socket: count.nullable(),
      rcvbufBytes: count,
      queuedBytesMax: count,
    }),
  ),
  retransmits: tallyOf(peerEvents),
  synAckRetransmits: tallyOf(peerEvents),
  resetsSent: tallyOf(peerEvents),
  resetsReceived: tallyOf(peerEvents),
  badChecksums: tallyOf(peerEvents),
  missed: count,
});

const dropCapture = z.object({
  backend: z.enum(['tracefs', 'bpf']),
  events: count,
  lost: count,
  hasReasons: z.boolean(),
  drops: z.array(
    z.object({
      reason: z.string().nullable(),
      location: z.string(),
      module: z.string().exactOptional(),
      protocol: count,
      packets: count,
      edgePackets: count,
      details: dropDetails.exactOptional(),
    }),
  ),
  unselected: count.exactOptional(),
  unavailable: z.array(z.object({ backend: z.string(), reason: z.string() })).exactOptional(),
  companions: companions.exactOptional(),
});

const place = {
  phase: z.union([z.enum(['facts', 'first', 'last']), z.templateLiteral(['sample-', z.int()])]),
  view: z.enum(['namespace', 'initial']),
};

export const lineSchema: z.ZodType<RecordingLine> = z.discriminatedUnion('op', [
  z.object({ ...place, op: z.literal('file'), key: z.string(), result: readingOf(z.string()) }),
  z.object({
    ...place,
    op: z.literal('list'),
    key: z.string(),
    result: readingOf(z.array(z.string())),
  }),
  z.object({
    ...place,
    op: z.literal('run'),
    key: z.array(z.string()),
    result: readingOf(commandOutput),
  }),
  z.object({
    ...place,
    op: z.literal('kernel-log'),
    key: z.literal('new'),
    result: readingOf(z.array(z.string())),
  }),
  z.object({
    ...place,
    op: z.literal('capture-start'),
    key: z.literal('drops'),
    result: readingOf(z.null()),
  }),
  z.object({
    ...place,
    op: z.literal('capture-stop'),
    key: z.literal('drops'),
    result: readingOf(dropCapture),
  }),
  z.object({ op: z.literal('wait'), from: z.number(), to: z.number() }),
  z.object({ op: z.literal('end') }),
]);

export const headerSchema: z.ZodType<RecordingHeader> = z.object({
  format: z.literal(RECORDING_FORMAT),
  toolVersion: z.string(),
  facts: z.object({
    hostname: z.string(),
    kernel: z.string(),
    distribution: z.string(),
    recorded: z.boolean(),
    netns: z.string().nullable(),
    netnsCount: count.nullable(),
    // Recordings of 0.1.0 before the BPF capture do not have it.
    netnsInode: count.nullable().default(null),
    cpuCount: count,
    root: z.boolean(),
  }),
  foreignNetns: z.boolean(),
  startedAt: z.iso.datetime(),
  seconds: z.number().min(0),
  options: z.record(
    z.string(),
    z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(z.string())]),
  ),
});
