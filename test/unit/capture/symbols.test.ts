import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { normaliseLocation, resolveSymbols } from '../../../src/capture/symbols.ts';

const kallsyms = `ffffffff81000000 T _stext
ffffffff81000000 T _text
ffffffff81a00000 t ip_rcv_finish_core.isra.0
ffffffff81a00400 T ip_rcv
ffffffff81a00400 W ip_rcv_alias
ffffffff81a00800 T _etext
ffffffff82000000 D jiffies
ffffffffc0211000 t veth_xmit\t[veth]
ffffffffc0211800 d veth_ops\t[veth]
ffffffffc0100000 t nft_do_chain\t[nf_tables]
ffffffffc0300000 t bpf_prog_6deef7357e7b4530\t[bpf]
`;

/** In pieces of `size` bytes: reads end anywhere. */
function* inChunks(text: string, size: number): Generator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let start = 0; start < bytes.length; start += size) {
    yield bytes.subarray(start, start + size);
  }
}

async function resolve(address: string, text = kallsyms) {
  const { locations } = await resolveSymbols([address], inChunks(text, 4096));
  return locations.get(address);
}

test.each([
  ['ffffffff81a00010', { location: 'ip_rcv_finish_core' }],
  ['ffffffff81a003ff', { location: 'ip_rcv_finish_core' }],
  // The first of two names, as the kernel prints it.
  ['ffffffff81a00400', { location: 'ip_rcv' }],
  ['ffffffffc0211010', { location: 'veth_xmit', module: 'veth' }],
  // Listed behind a module that lies above it.
  ['ffffffffc0100010', { location: 'nft_do_chain', module: 'nf_tables' }],
  ['ffffffffc0300123', { location: 'bpf_prog_6deef7357e7b4530', module: 'bpf' }],
])('%s lies in a function', async (address, expected) => {
  expect(await resolve(address)).toEqual(expected);
});

test.each([
  ['below the first symbol', 'ffffffff80ffffff'],
  ['in data', 'ffffffffc0211900'],
  ['far beyond the last symbol', 'ffffffffc0400000'],
  ['in the gap between kernel and modules', 'ffffffffc0000010'],
  ['zero', '0000000000000000'],
])('an address %s stays raw', async (_where, address) => {
  expect(await resolve(address)).toEqual({ location: `0x${address}` });
});

test('chunks may end anywhere', async () => {
  const addresses = [
    'ffffffff81a00010',
    'ffffffff81a00500',
    'ffffffffc0100010',
    'ffffffffc0211010',
  ];
  const whole = await resolveSymbols(addresses, inChunks(kallsyms, 1e6));
  expect(whole.locations.get('ffffffff81a00500')).toEqual({ location: 'ip_rcv' });
  for (const size of [1, 7, 40, 41]) {
    expect(await resolveSymbols(addresses, inChunks(kallsyms, size))).toEqual(whole);
  }
});

test('addresses of 32 bits', async () => {
  expect(await resolve('c0100010', 'c0100000 T ip_rcv\nc0200000 T udp_rcv\n')).toEqual({
    location: 'ip_rcv',
  });
});

test('hidden addresses are told from missing ones', async () => {
  const zeros = kallsyms.replaceAll(/^[0-9a-f]{16}/gm, '0'.repeat(16));
  const address = 'ffffffff81a00010';
  const hidden = await resolveSymbols([address], inChunks(zeros, 4096));
  expect(hidden.hidden).toBe(true);
  expect(hidden.locations.get(address)).toEqual({ location: `0x${address}` });
  expect((await resolveSymbols([address], inChunks(kallsyms, 4096))).hidden).toBe(false);
});

test('agrees with a plain search over a sorted table', async () => {
  const low = fc.integer({ min: 0, max: 0x7fff });
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(low, { minLength: 1 }),
      fc.array(low, { minLength: 1 }),
      async (symbols, wanted) => {
        const hex = (value: number) => `ffff8000${value.toString(16).padStart(8, '0')}`;
        const text = symbols.map((value) => `${hex(value)} T f${value}\n`).join('');
        const { locations } = await resolveSymbols(wanted.map(hex), inChunks(text, 64));
        for (const value of wanted) {
          const nearest = Math.max(...symbols.filter((symbol) => symbol <= value));
          const name = nearest === -Infinity ? `0x${hex(value)}` : `f${nearest}`;
          expect(locations.get(hex(value))).toEqual({ location: name });
        }
      },
    ),
  );
});

test('a garbled table never throws', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array(), fc.string({ unit: 'binary-ascii' }), async (bytes, text) => {
      const chunks = [bytes, Buffer.from(`\n${text}\n`)];
      const { locations } = await resolveSymbols(['ffffffff81a00010'], chunks);
      expect(locations.size).toBe(1);
    }),
  );
});

test.each([
  ['ip_rcv_finish_core+0x1a/0x400', { location: 'ip_rcv_finish_core' }],
  ['nft_do_chain+0x5d1/0x6c0 [nf_tables]', { location: 'nft_do_chain', module: 'nf_tables' }],
  ['veth_xmit\t[veth]', { location: 'veth_xmit', module: 'veth' }],
  ['tcp_v4_rcv+0x1a', { location: 'tcp_v4_rcv' }],
  ['ip_rcv_finish_core.isra.0', { location: 'ip_rcv_finish_core' }],
  ['foo.constprop.0.isra.3+0x10/0x20', { location: 'foo' }],
  ['foo.part.12', { location: 'foo' }],
  ['foo.cold', { location: 'foo' }],
  ['foo.llvm.1234567890', { location: 'foo' }],
  ['.ip_rcv+0x4/0x8', { location: '.ip_rcv' }],
  ['0xffffffff81234567', { location: '0xffffffff81234567' }],
  // %pSb adds the build id of the module.
  ['rx+0x1/0x2 [e1000 5f3c]', { location: 'rx', module: 'e1000' }],
])('normalises %s', (text, expected) => {
  expect(normaliseLocation(text)).toEqual(expected);
});

test('normalising garbage never throws', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary-ascii' }), (text) => {
      expect(typeof normaliseLocation(text).location).toBe('string');
    }),
  );
});
