import type koffi from 'koffi';
import type { LibraryHandle } from 'koffi';
import { ok, unread, type Reading } from '../../model/reading.ts';

type Koffi = typeof koffi;

/** An address in this process, of something that libbpf owns. */
export type Pointer = bigint & { readonly pointer: unique symbol };

/** What of libbpf we call; in every release since 0.1 (2020). Documented in bpf/libbpf.h. */
export interface LibBpf {
  readonly openObject: (path: string, options: null) => Pointer | null;
  readonly loadObject: (object: Pointer) => number;
  readonly closeObject: (object: Pointer) => void;
  readonly findProgram: (object: Pointer, name: string) => Pointer | null;
  readonly programFd: (program: Pointer) => number;
  readonly attachProgram: (program: Pointer) => Pointer | null;
  readonly destroyLink: (link: Pointer) => number;
  readonly findMap: (object: Pointer, name: string) => Pointer | null;
  readonly setMaxEntries: (map: Pointer, entries: number) => number;
  readonly mapFd: (map: Pointer) => number;
  readonly lookup: (fd: number, key: Uint8Array, value: Uint8Array) => number;
  readonly update: (fd: number, key: Uint8Array, value: Uint8Array, flags: number) => number;
  readonly nextKey: (fd: number, key: Uint8Array | null, next: Uint8Array) => number;
  readonly infoOf: (fd: number, info: Uint8Array, length: Uint8Array) => number;
  readonly nextProgramId: (id: number, next: Uint32Array) => number;
  readonly programFdById: (id: number) => number;
  readonly programsAt: (
    fd: number,
    type: number,
    flags: number,
    attachFlags: Uint32Array,
    ids: Uint32Array,
    count: Uint32Array,
  ) => number;
  readonly openPin: (path: string) => number;
  /** errno of the last call. */
  readonly errno: () => number;
  /** `EPERM`. */
  readonly errorName: (errno: number) => string;
  /** What libbpf complained about since the last call of this. */
  readonly takeMessages: () => string;
}

type Functions = Omit<LibBpf, 'errno' | 'errorName' | 'takeMessages'>;

let loaded: Promise<Reading<LibBpf>> | undefined;

/** Loads the system's libbpf into this process, once. */
export function loadLibBpf(): Promise<Reading<LibBpf>> {
  return (loaded ??= load());
}

/** What calls libbpf from here. */
export async function loadKoffi(): Promise<Reading<Koffi>> {
  try {
    return ok((await import('koffi')).default);
  } catch {
    return unread(
      'absent',
      'The optional package koffi, which calls libbpf, is not installed or has no build for this machine: npm install koffi.',
    );
  }
}

async function load(): Promise<Reading<LibBpf>> {
  const loadedKoffi = await loadKoffi();
  if (loadedKoffi.status !== 'ok') return loadedKoffi;
  const koffi = loadedKoffi.value;
  const library = firstOf(['libbpf.so.1', 'libbpf.so.0'], (name) => koffi.load(name));
  if (library === undefined) {
    return unread(
      'absent',
      'The library libbpf is not installed (package libbpf1 in Debian and Ubuntu, libbpf elsewhere).',
    );
  }
  try {
    return ok({
      ...functionsOf(library),
      errno: () => koffi.errno(),
      errorName: (errno) =>
        Object.entries(koffi.os.errno).find(([, value]) => value === errno)?.[0] ??
        `error ${errno}`,
      takeMessages: captureMessages(koffi, library),
    });
  } catch (error) {
    return unread(
      'absent',
      `The libbpf of this machine is too old: ${error instanceof Error ? error.message : String(error)}.`,
    );
  }
}

/** From bpf/libbpf.h and bpf/bpf.h. */
const declarations: Record<keyof Functions, string> = {
  openObject: 'void *bpf_object__open_file(const char *path, void *options)',
  loadObject: 'int bpf_object__load(void *object)',
  closeObject: 'void bpf_object__close(void *object)',
  findProgram: 'void *bpf_object__find_program_by_name(void *object, const char *name)',
  programFd: 'int bpf_program__fd(void *program)',
  attachProgram: 'void *bpf_program__attach(void *program)',
  destroyLink: 'int bpf_link__destroy(void *link)',
  findMap: 'void *bpf_object__find_map_by_name(void *object, const char *name)',
  setMaxEntries: 'int bpf_map__set_max_entries(void *map, uint32_t entries)',
  mapFd: 'int bpf_map__fd(void *map)',
  lookup: 'int bpf_map_lookup_elem(int fd, void *key, void *value)',
  update: 'int bpf_map_update_elem(int fd, void *key, void *value, uint64_t flags)',
  nextKey: 'int bpf_map_get_next_key(int fd, void *key, void *next)',
  infoOf: 'int bpf_obj_get_info_by_fd(int fd, void *info, void *length)',
  nextProgramId: 'int bpf_prog_get_next_id(uint32_t id, void *next)',
  programFdById: 'int bpf_prog_get_fd_by_id(uint32_t id)',
  programsAt:
    'int bpf_prog_query(int fd, int type, uint32_t flags, void *attach_flags, void *ids, void *count)',
  openPin: 'int bpf_obj_get(const char *path)',
};

function functionsOf(library: LibraryHandle): Functions {
  return Object.fromEntries(
    Object.entries(declarations).map(([name, declaration]) => [name, library.func(declaration)]),
  ) as unknown as Functions;
}

/** libbpf's levels: 0 warning, 1 information, 2 debugging. */
const maxLevel = 0;
/** The verifier's log comes as one message, its verdict last. */
const messageBytes = 1024 * 1024;

/**
 * Makes libbpf hand its messages to us, or it would print them on stderr. For as long as the process
 * lives: libbpf has one such function for all its users.
 *
 * Its va_list is passed on to vsnprintf as it came. On every platform of koffi's that is a pointer, or
 * passed like one.
 */
function captureMessages(koffi: Koffi, library: LibraryHandle): () => string {
  const format = koffi
    .load(null)
    .func('int vsnprintf(void *text, size_t size, const char *format, void *arguments)') as (
    text: Uint8Array,
    size: number,
    format: bigint,
    args: bigint,
  ) => number;
  let messages = '';
  const print = koffi.register(
    (level: number, template: bigint, args: bigint): number => {
      if (level > maxLevel) return 0;
      const buffer = Buffer.alloc(messageBytes);
      const length = format(buffer, messageBytes, template, args);
      messages += buffer.toString('utf8', 0, Math.min(length, messageBytes - 1));
      return 0;
    },
    koffi.pointer(koffi.proto('int print(int level, void *format, void *arguments)')),
  );
  const setPrint = library.func('void *libbpf_set_print(void *print)') as (print: bigint) => bigint;
  setPrint(print);
  return () => {
    const taken = messages;
    messages = '';
    return taken;
  };
}

function firstOf<Value>(
  names: readonly string[],
  open: (name: string) => Value,
): Value | undefined {
  for (const name of names) {
    try {
      return open(name);
    } catch {
      // Not installed, or not for this machine: the next one.
    }
  }
  return undefined;
}
