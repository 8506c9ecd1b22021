import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ok, unread, type Reading } from '../../model/reading.ts';
import { lockedDown, notPermitted } from '../unavailable.ts';
import {
  parseSample,
  parseSite,
  parseTable,
  sampleCapacity,
  SampleLayout,
  settingsBytes,
  SiteLayout,
  TableLayout,
  type RawSample,
  type RawSite,
  type RawTable,
} from './layout.ts';
import type { LibBpf, Pointer } from './libbpf.ts';

const cannot = 'Cannot watch drops by BPF';

/** bpf/drops.bpf.c, loaded and attached. Everything of it belongs to this process and goes with it. */
export interface AttachedProgram {
  /** From now on, drops are inside of the window, or outside. */
  setWindow(isOpen: boolean): void;
  /** Stops counting, reads what was counted, and removes the program. */
  finish(): Reading<RawCapture>;
}

export interface RawCapture {
  /** One for each CPU. */
  readonly tables: readonly RawTable[];
  readonly sites: readonly RawSite[];
  readonly samples: readonly RawSample[];
  /** Drops that came while the program was at work on the same CPU; it cannot run within itself. */
  readonly missed: number;
}

/** 0: all. */
export interface Selection {
  readonly netns: number;
  readonly ifindex: number;
}

/** The same program for kernels since 6.2, and for older ones; what the kernel refuses decides. */
const objects = ['drops.bpf.o', 'drops-compatible.bpf.o'] as const;

export function attachProgram(lib: LibBpf, selection: Selection): Reading<AttachedProgram> {
  let attached: Reading<AttachedProgram> | undefined;
  for (const name of objects) {
    const path = objectPath(name);
    if (path === null) {
      return unread('absent', `${cannot}: the file bpf/${name} of whydrop is missing.`);
    }
    const next = attachObject(lib, path, selection);
    if (next.status === 'ok') return next;
    // The first refusal is of the program that is made for newer kernels: the last one says why.
    attached = next;
    if (next.status === 'denied') break;
  }
  return attached ?? unread('crashed', `${cannot}: there is no program.`);
}

function attachObject(lib: LibBpf, path: string, selection: Selection): Reading<AttachedProgram> {
  lib.takeMessages();
  const object = lib.openObject(path, null);
  if (isError(object)) return failure(lib, lib.errno());

  let link: Pointer | null = null;
  const close = (): void => {
    if (link !== null) lib.destroyLink(link);
    lib.closeObject(object);
  };
  const refuse = (errno: number): Reading<never> => {
    const refusal = failure(lib, errno);
    close();
    return refusal;
  };

  const cpus = possibleCpus();
  const program = lib.findProgram(object, 'whydrop');
  const [tables, settings, sites, samples] = ['tables', 'settings_map', 'sites', 'samples'].map(
    (name) => lib.findMap(object, name),
  );
  if (
    isError(program) ||
    isError(tables) ||
    isError(settings) ||
    isError(sites) ||
    isError(samples)
  ) {
    close();
    return unread('crashed', `${cannot}: ${path} is of another version of whydrop.`);
  }
  lib.setMaxEntries(tables, cpus);
  const error = lib.loadObject(object);
  if (error !== 0) return refuse(-error);

  const setWindow = (isOpen: boolean): number =>
    lib.update(
      lib.mapFd(settings),
      Buffer.alloc(4),
      settingsBytes({ windowIsOpen: isOpen, ...selection }),
      0,
    );
  if (setWindow(false) !== 0) return refuse(lib.errno());
  const attached = lib.attachProgram(program);
  if (isError(attached)) return refuse(lib.errno());
  link = attached;

  return ok({
    setWindow,
    finish() {
      lib.destroyLink(attached);
      link = null;
      try {
        return ok({
          tables: readArray(lib, lib.mapFd(tables), cpus, TableLayout.bytes, parseTable),
          sites: readSites(lib, lib.mapFd(sites)),
          samples: readArray(
            lib,
            lib.mapFd(samples),
            sampleCapacity,
            SampleLayout.bytes,
            parseSample,
          ).flatMap((sample) => sample ?? []),
          missed: recursionMisses(lib, lib.programFd(program)),
        });
      } catch (mapError) {
        return unread(
          'crashed',
          `The counts of the BPF program cannot be read: ${String(mapError)}`,
        );
      } finally {
        close();
      }
    },
  });
}

/** Null: it is not there. Sources and what is built of them (scripts/build.mjs) are as far from the objects. */
export function objectPath(name: string): string | null {
  const path = fileURLToPath(new URL(`../../../bpf/${name}`, import.meta.url));
  return existsSync(path) ? path : null;
}

/** How many CPUs there can be, from the highest number: `0-3`, or `0,2-5`. */
export function possibleCpus(): number {
  const list = readFileSync('/sys/devices/system/cpu/possible', 'utf8');
  return Math.max(...[...list.matchAll(/\d+/g)].map(([number]) => Number(number))) + 1;
}

function readArray<Value>(
  lib: LibBpf,
  fd: number,
  length: number,
  valueBytes: number,
  parse: (value: Uint8Array) => Value,
): readonly Value[] {
  const value = Buffer.alloc(valueBytes);
  return Array.from({ length }, (_, index) => {
    const key = Buffer.alloc(4);
    key.writeUInt32LE(index);
    if (lib.lookup(fd, key, value) !== 0) throw new Error(lib.errorName(lib.errno()));
    return parse(value);
  });
}

function readSites(lib: LibBpf, fd: number): readonly RawSite[] {
  const sites: RawSite[] = [];
  const site = Buffer.alloc(SiteLayout.bytes);
  let key: Buffer | null = null;
  for (;;) {
    const next: Buffer = Buffer.alloc(16);
    if (lib.nextKey(fd, key, next) !== 0) return sites;
    if (lib.lookup(fd, next, site) === 0) sites.push(parseSite(next, site));
    key = next;
  }
}

/** struct bpf_prog_info, include/uapi/linux/bpf.h: recursion_misses came in 5.12. */
const infoBytes = 232;
const recursionMissesAt = 208;

export function recursionMisses(lib: LibBpf, fd: number): number {
  const info = Buffer.alloc(infoBytes);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(infoBytes);
  if (lib.infoOf(fd, info, length) !== 0) return 0;
  return Number(info.readBigUInt64LE(recursionMissesAt));
}

/** Null, and before libbpf 1.0 also an error number as an address (ERR_PTR of the kernel). */
export function isError(pointer: Pointer | null | undefined): pointer is null | undefined {
  return (
    pointer === null || pointer === undefined || BigInt.asUintN(64, pointer) >= firstErrorAddress
  );
}
const firstErrorAddress = 2n ** 64n - 4095n;

/** Why libbpf or the kernel refused, with what would help. */
export function failure(lib: LibBpf, errno: number): Reading<never> {
  const name = lib.errorName(errno);
  const messages = lib.takeMessages();
  // Then the verifier refuses helpers that read memory, which says nothing to the user.
  if (lockedDown()) return notPermitted(cannot, 'CAP_BPF and CAP_PERFMON');
  const refusal = verifierVerdict(messages);
  if (refusal !== null) {
    return unread('absent', `${cannot}: this kernel does not accept the program (${refusal}).`);
  }
  if (name === 'EPERM' || name === 'EACCES') return notPermitted(cannot, 'CAP_BPF and CAP_PERFMON');
  const said = messages.split('\n').find((line) => line !== '');
  return unread('absent', `${cannot}: ${name}${said === undefined ? '' : ` (${said})`}.`);
}

/** What the verifier said last, of what libbpf prints when it refuses a program; null if it did not. */
export function verifierVerdict(messages: string): string | null {
  const log =
    /-- BEGIN PROG LOAD LOG --\n([^]*?)(?:processed \d+ insns|-- END PROG LOAD LOG --)/.exec(
      messages,
    )?.[1];
  return log?.split('\n').findLast((line) => line !== '') ?? null;
}
