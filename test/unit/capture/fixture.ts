import { readFileSync } from 'node:fs';
import type { Reading } from '../../../src/model/reading.ts';

export type Kernel = '5.10' | '6.1' | '6.12' | '6.18';

export function fixture(kernel: Kernel, file: 'format' | 'header_page'): string {
  return readFileSync(new URL(`fixtures/${kernel}/${file}`, import.meta.url), 'utf8');
}

export function valueOf<Value>(reading: Reading<Value>): Value {
  if (reading.status !== 'ok') throw new Error(`${reading.status}: ${reading.reason}`);
  return reading.value;
}
