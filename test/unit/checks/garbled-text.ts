import * as fc from 'fast-check';

/** Text for parsers that must survive anything: noise, and real text with a part cut out or replaced. */
export function garbledText(real: string): fc.Arbitrary<string> {
  const damaged = fc
    .tuple(fc.nat(real.length), fc.nat(60), noise(8))
    .map(([at, length, put]) => real.slice(0, at) + put + real.slice(at + length));
  return fc.oneof(noise(40), damaged);
}

/** Any UTF-16 code units, mostly Latin-1: fast-check's own `binary` strings take seconds to set up. */
function noise(maxLength: number): fc.Arbitrary<string> {
  const codeUnit = fc.oneof(fc.integer({ min: 0, max: 0xff }), fc.integer({ min: 0, max: 0xffff }));
  return fc.array(codeUnit, { maxLength }).map((units) => String.fromCharCode(...units));
}
