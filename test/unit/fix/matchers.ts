import { expect } from 'vitest';

/** For toMatchObject: the type of vitest's own says `any`. */
export function containing(text: string): unknown {
  return expect.stringContaining(text);
}
