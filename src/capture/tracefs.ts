import { mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { rmdir, writeFile } from 'node:fs/promises';
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
import { readKallsyms } from './kallsyms.ts';
import { Locations } from './locations.ts';
import { parseKfreeSkbLayout } from './kfree-skb.ts';
import { parsePageLayout } from './ring-buffer.ts';
import { RingReader } from './ring-reader.ts';
import { errorCode, tracefsUnread } from './unavailable.ts';
import { Window } from './window.ts';

const eventDirectory = 'events/skb/kfree_skb';

const lookUpEveryMs = 500;

/** A capture that has its buffers. */
export interface ReadyCapture {
  /** Switches the trace event on. Once. */
  start(): Reading<RunningCapture>;
  /** Gives up a capture that was not started. Idempotent. */
  release(): void;
}

/**
 * Makes ready to count the drops of the whole machine (`skb:kfree_skb`) in a private tracefs instance: the
 * kernel takes 40 ms to make its buffers. The instance goes at stop(), or when the process exits; that
 * of a run killed with -9, at the next start. One capture per process at a time.
 *
 * @param options.tracing directory of a tracefs, see openTracefs(); must stay open until stop() is done
 */
export async function prepareTracefsCapture(options: {
  readonly tracing: string;
}): Promise<Reading<ReadyCapture>> {
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
  /** Leaves nothing behind. Synchronous and silent, as an exit handler has to be. */
  const release = (): void => {
    process.removeListener('exit', release);
    reader?.close();
    try {
      // Removing the instance also switches its events off.
      rmdirSync(instance);
    } catch {
      // The next start removes it.
    }
  };
  process.on('exit', release);

  let bytesPerRing: number;
  try {
    bytesPerRing = await makeBuffers(instance);
  } catch (error) {
    release();
    return tracefsUnread(error, 'Cannot make the buffers of a private trace');
  }

  const start = (): Reading<RunningCapture> => {
    try {
      reader = openRings(instance, page.value.pageBytes, bytesPerRing, (view, bytes) =>
        decoder.decode(view, bytes),
      );
      writeFileSync(`${instance}/${eventDirectory}/enable`, '1');
    } catch (error) {
      release();
      return tracefsUnread(error, 'Cannot switch on the trace event skb:kfree_skb');
    }
    const rings = reader;

    const locations = new Locations(readKallsyms);
    const learnLocations = async (): Promise<void> => {
      await locations.learn(table.entries().map((entry) => addressText(entry, event.value)));
    };
    let lookingUp: NodeJS.Timeout | undefined;

    /** The kernel takes 30 to 80 ms for it; others may work meanwhile. @returns why it failed */
    const removeInstance = async (): Promise<string | null> => {
      rings.close();
      try {
        await rmdir(instance);
        process.removeListener('exit', release);
        return null;
      } catch (error) {
        return errorCode(error);
      }
    };

    const stop = async (): Promise<Reading<DropCapture>> => {
      clearInterval(lookingUp);
      let lost: number;
      try {
        writeFileSync(`${instance}/tracing_on`, '0');
        await rings.finish();
        lost = cpuDirectories(instance)
          .map((cpu) => lostEvents(readFileSync(`${cpu}/stats`, 'utf8')))
          .reduce((sum, count) => sum + count, 0);
      } catch (error) {
        release();
        return tracefsUnread(error, 'Cannot read the end of the live capture');
      }
      const [failure] = await Promise.all([removeInstance(), learnLocations()]);
      const notes = [...rings.notes, ...locations.notes];
      if (failure !== null) {
        notes.push(
          `The trace instance ${instance} could not be removed (${failure}); the next run removes it.`,
        );
      }
      if (decoder.malformedPages > 0) {
        notes.push(`${decoder.malformedPages} pages of the trace buffer could not be decoded.`);
      }
      return ok(
        {
          backend: 'tracefs',
          events: decoder.events,
          lost,
          hasReasons: event.value.reasonOffset !== null,
          drops: dropCounts(table, event.value, locations.known),
        },
        notes,
      );
    };

    let stopped: Promise<Reading<DropCapture>> | undefined;
    return ok({
      mark(moment) {
        window.mark(moment, Number(process.hrtime.bigint()));
        clearInterval(lookingUp);
        if (moment === 'window-open') {
          lookingUp = setInterval(() => void learnLocations(), lookUpEveryMs).unref();
        }
      },
      stop: () => (stopped ??= stop()),
    });
  };
  return ok({ start, release });
}

/** @returns size of the ring of each CPU */
async function makeBuffers(instance: string): Promise<number> {
  // The clock that process.hrtime shows. First, because setting it empties the buffers.
  await writeFile(`${instance}/trace_clock`, 'mono');
  // When the buffer is full, the kernel refuses new events instead of making room by dropping old
  // ones: less work for a machine that is already in a storm. Either way the loss is counted.
  await writeFile(`${instance}/options/overwrite`, '0');
  const bytes = ringBytes(onlineCpus().length);
  try {
    await writeFile(`${instance}/buffer_size_kb`, String(bytes / 1024));
    return bytes;
  } catch {
    // Memory is short: the kernel keeps the size it had, 1.4 MiB by default.
    return Number.parseInt(readFileSync(`${instance}/buffer_size_kb`, 'utf8'), 10) * 1024;
  }
}

/** Starts to read the buffers of all CPUs. */
function openRings(
  instance: string,
  headerPageBytes: number,
  bytesPerRing: number,
  onPage: (page: DataView, bytes: number) => void,
): RingReader {
  const pageBytes = Math.max(headerPageBytes, subBufferBytes(instance));
  return new RingReader({
    files: cpuDirectories(instance).map((cpu) => `${cpu}/trace_pipe_raw`),
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
