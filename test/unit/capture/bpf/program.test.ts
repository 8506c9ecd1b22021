import { basename } from 'node:path';
import { expect, test } from 'vitest';
import type { LibBpf, Pointer } from '../../../../src/capture/bpf/libbpf.ts';
import { attachProgram } from '../../../../src/capture/bpf/program.ts';

const everything = { netns: 0, ifindex: 0 };
const pointer = 1n as Pointer;

/** A libbpf whose kernel refuses some objects, with an errno and what the verifier says. */
function libRefusing(
  refusals: Readonly<Record<string, { readonly errno: number; readonly log?: string }>>,
): { lib: LibBpf; opened: string[]; closed: () => number } {
  const opened: string[] = [];
  let closed = 0;
  let messages = '';
  const lib: LibBpf = {
    openObject: (path) => {
      opened.push(basename(path));
      return pointer;
    },
    loadObject: () => {
      const refusal = refusals[opened.at(-1) ?? ''];
      if (refusal?.log !== undefined) {
        messages += `-- BEGIN PROG LOAD LOG --\n${refusal.log}\n-- END PROG LOAD LOG --\n`;
      }
      return -(refusal?.errno ?? 0);
    },
    closeObject: () => {
      closed += 1;
    },
    findProgram: () => pointer,
    programFd: () => 3,
    attachProgram: () => pointer,
    destroyLink: () => 0,
    findMap: () => pointer,
    setMaxEntries: () => 0,
    mapFd: () => 4,
    lookup: () => -1,
    update: () => 0,
    nextKey: () => -1,
    infoOf: () => -1,
    nextProgramId: () => -1,
    programFdById: () => -1,
    programsAt: () => -1,
    openPin: () => -1,
    errno: () => 2,
    errorName: (errno) => ({ 1: 'EPERM', 2: 'ENOENT', 13: 'EACCES', 22: 'EINVAL' })[errno] ?? '?',
    takeMessages: () => {
      const taken = messages;
      messages = '';
      return taken;
    },
  };
  return { lib, opened, closed: () => closed };
}

test('a kernel that takes the first object is not asked for the other', () => {
  const { lib, opened, closed } = libRefusing({});
  expect(attachProgram(lib, everything).status).toBe('ok');
  expect(opened).toEqual(['drops.bpf.o']);
  expect(closed()).toBe(0);
});

test('a kernel without bpf_rdonly_cast gets the object for older ones', () => {
  const { lib, opened, closed } = libRefusing({ 'drops.bpf.o': { errno: 22 } });
  expect(attachProgram(lib, everything).status).toBe('ok');
  expect(opened).toEqual(['drops.bpf.o', 'drops-compatible.bpf.o']);
  expect(closed()).toBe(1);
});

test('without permission the other object is not tried', () => {
  const { lib, opened, closed } = libRefusing({ 'drops.bpf.o': { errno: 1 } });
  expect(attachProgram(lib, everything)).toMatchObject({
    status: 'denied',
    reason: expect.stringContaining('CAP_BPF') as unknown,
  });
  expect(opened).toEqual(['drops.bpf.o']);
  expect(closed()).toBe(1);
});

test('when both are refused, the second refusal is told', () => {
  const { lib, closed } = libRefusing({
    'drops.bpf.o': { errno: 22, log: 'calling kernel function is not allowed' },
    'drops-compatible.bpf.o': { errno: 13, log: 'R1 type=scalar expected=fp' },
  });
  expect(attachProgram(lib, everything)).toMatchObject({
    status: 'absent',
    reason: expect.stringMatching(/does not accept the program \(R1 type=scalar/) as unknown,
  });
  expect(closed()).toBe(2);
});

test('counts that cannot be read are no exception, and the program is removed', () => {
  const { lib, closed } = libRefusing({});
  const attached = attachProgram(lib, everything);
  if (attached.status !== 'ok') throw new Error(attached.reason);
  expect(attached.value.finish()).toMatchObject({
    status: 'crashed',
    reason: expect.stringContaining('ENOENT') as unknown,
  });
  expect(closed()).toBe(1);
});
