import { mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { cpus as onlineCpus, endianness } from 'node:os';
import type { DropCapture } from '../model/drops.ts';
import type { RunningCapture } from '../model/host.ts';
import { ok, unread, type Reading } from '../model/reading.ts';
import { addressText, dropCounts } from './drop-counts.ts';
import { DropDecoder } from './drop-decoder.ts';
import { DropTable } from './drop-table.ts';
import {
  instanceName,
  lostEvents,
  processStartTime,
  removeStaleInstances,
  ringBytes,
} from './instance.ts';
import { parseKfreeSkbLayout } from './kfree-skb.ts';
import { resolveLocations } from './locations.ts';
import { parsePageLayout } from './ring-buffer.ts';
import { RingReader } from './ring-reader.ts';
import { errorCode, tracefsUnread } from './unavailable.ts';
import { Window } from './window.ts';

const eventDirectory = 'events/skb/kfree_skb';

/**
 * Starts to count the drops of the whole machine (`skb:kfree_skb`) in a private tracefs instance.
 * The instance goes at stop(), or when the process exits; that of a run killed with -9, at the next start.
 * One capture per process at a time.
 *
 * @param options.tracing directory of a tracefs, see openTracefs(); must stay open until stop() is done
 */
export async function startTracefsCapture(options: {
  readonly tracing: string;
}): Promise<Reading<RunningCapture>> {
  const { tracing } = options;
  let pageText: string;
  let eventText: string;
  try {
    pageText = readFileSync(`${tracing}/events/header_page`, 'utf8');
    eventText = readFileSync(`${tracing}/${eventDirectory}/format`, 'utf8');
  } catch (error) {
    return tracefsUnread(error, 'Cannot watch the trace event skb:kfree_skb');
  }
  const page = parsePageLayout(pageText);
  if (page.status !== 'ok') return page;
  const event = parseKfreeSkbLayout(eventText);
  if (event.status !== 'ok') return event;

  const window = new Window();
  const table = new DropTable();
  const decoder = new DropDecoder(
    { page: page.value, event: event.value },
    endianness() === 'LE',
    table,
    window,
  );

  const instances = `${tracing}/instances`;
  const instance = `${instances}/${instanceName(process.pid, processStartTime(process.pid) ?? '0')}`;
  try {
    removeStaleInstances(instances);
    mkdirSync(instance);
  } catch (error) {
    if (errorCode(error) === 'EEXIST') {
      return unread('crashed', 'This process is already watching drops. Please report this.');
    }
    return tracefsUnread(error, 'Cannot make a private trace buffer');
  }

  let reader: RingReader | undefined;
  /** Leaves nothing behind. Synchronous and silent, as an exit handler has to be. Says why it failed. */
  const release = (): string | null => {
    process.removeListener('exit', release);
    reader?.close();
    try {
      // Removing the instance also switches its events off.
      rmdirSync(instance);
      return null;
    } catch (error) {
      return errorCode(error);
    }
  };
  process.on('exit', release);

  try {
    reader = openRings(instance, page.value.pageBytes, (view, bytes) =>
      decoder.decode(view, bytes),
    );
    writeFileSync(`${instance}/${eventDirectory}/enable`, '1');
  } catch (error) {
    release();
    return tracefsUnread(error, 'Cannot switch on the trace event skb:kfree_skb');
  }
  const rings = reader;

  const stop = async (): Promise<Reading<DropCapture>> => {
    let lost: number;
    const notes: string[] = [];
    try {
      writeFileSync(`${instance}/tracing_on`, '0');
      await rings.finish();
      lost = cpuDirectories(instance)
        .map((cpu) => lostEvents(readFileSync(`${cpu}/stats`, 'utf8')))
        .reduce((sum, count) => sum + count, 0);
    } catch (error) {
      return tracefsUnread(error, 'Cannot read the end of the live capture');
    } finally {
      const failure = release();
      if (failure !== null) {
        notes.push(
          `The trace instance ${instance} could not be removed (${failure}); the next run removes it.`,
        );
      }
    }
    notes.push(...rings.notes);
    if (decoder.malformedPages > 0) {
      notes.push(`${decoder.malformedPages} pages of the trace buffer could not be decoded.`);
    }
    const { locations, note } = await resolveLocations(
      new Set([...table.entries()].map((entry) => addressText(entry, event.value))),
    );
    if (note !== null) notes.push(note);
    return ok(
      {
        backend: 'tracefs',
        events: decoder.events,
        lost,
        hasReasons: event.value.reasonOffset !== null,
        drops: dropCounts(table, event.value, locations),
      },
      notes,
    );
  };

  let stopped: Promise<Reading<DropCapture>> | undefined;
  return ok({
    mark: (moment) => window.mark(moment, Number(process.hrtime.bigint())),
    stop: () => (stopped ??= stop()),
  });
}

/** Prepares the buffers of a new instance and starts to read them. */
function openRings(
  instance: string,
  headerPageBytes: number,
  onPage: (page: DataView, bytes: number) => void,
): RingReader {
  // The clock that process.hrtime shows. First, because setting it empties the buffers.
  writeFileSync(`${instance}/trace_clock`, 'mono');
  // When the buffer is full, the kernel refuses new events instead of making room by dropping old
  // ones: less work for a machine that is already in a storm. Either way the loss is counted.
  writeFileSync(`${instance}/options/overwrite`, '0');

  const cpus = cpuDirectories(instance);
  let bytesPerRing = ringBytes(onlineCpus().length);
  try {
    writeFileSync(`${instance}/buffer_size_kb`, String(bytesPerRing / 1024));
  } catch {
    // Memory is short: the kernel keeps the size it had, 1.4 MiB by default.
    bytesPerRing = Number.parseInt(readFileSync(`${instance}/buffer_size_kb`, 'utf8'), 10) * 1024;
  }

  const pageBytes = Math.max(headerPageBytes, subBufferBytes(instance));
  return new RingReader({
    files: cpus.map((cpu) => `${cpu}/trace_pipe_raw`),
    pageBytes,
    ringPages: Math.ceil(bytesPerRing / pageBytes),
    onPage,
  });
}

function cpuDirectories(instance: string): readonly string[] {
  return readdirSync(`${instance}/per_cpu`).map((cpu) => `${instance}/per_cpu/${cpu}`);
}

/** header_page describes the main buffer; since 6.8 an instance may have pages of another size. */
function subBufferBytes(instance: string): number {
  try {
    return Number.parseInt(readFileSync(`${instance}/buffer_subbuf_size_kb`, 'utf8'), 10) * 1024;
  } catch {
    return 0;
  }
}
