import { readFileSync } from 'node:fs';
import { Btf } from '../../../../src/capture/bpf/btf.ts';

type ObjectName = `${'drops' | 'sockets'}${'' | '-compatible'}.bpf.o`;

/** The BTF section of a committed object: its structures as the compiler laid them out. */
export function objectBtf(object: ObjectName = 'drops.bpf.o'): Btf {
  const elf = readFileSync(new URL(`../../../../bpf/${object}`, import.meta.url));
  const headersAt = Number(elf.readBigUInt64LE(0x28));
  const headerBytes = elf.readUInt16LE(0x3a);
  const sections = Array.from({ length: elf.readUInt16LE(0x3c) }, (_, index) => {
    const header = headersAt + index * headerBytes;
    const start = Number(elf.readBigUInt64LE(header + 0x18));
    return {
      nameAt: elf.readUInt32LE(header),
      bytes: elf.subarray(start, start + Number(elf.readBigUInt64LE(header + 0x20))),
    };
  });
  const names = sections[elf.readUInt16LE(0x3e)]?.bytes ?? Buffer.alloc(0);
  const nameOf = (at: number): string => names.toString('latin1', at, names.indexOf(0, at));
  const btf = sections.find(({ nameAt }) => nameOf(nameAt) === '.BTF');
  if (btf === undefined) throw new Error(`bpf/${object} has no BTF`);
  return new Btf(btf.bytes);
}
