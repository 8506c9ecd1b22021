/** One field of a trace event or of the ring-buffer page header, in bytes. */
export interface Field {
  readonly offset: number;
  readonly size: number;
}

export interface EventFormat {
  readonly id: number;
  /** By C name, without type and array bounds: `common_type`, `location`. */
  readonly fields: ReadonlyMap<string, Field>;
  /** What follows `print fmt:`; holds the tables of symbolic names. */
  readonly printFormat: string;
}

/** Parses `events/SYSTEM/EVENT/format` of tracefs. Undefined: not such a file. */
export function parseEventFormat(text: string): EventFormat | undefined {
  const id = /^ID:\s*(\d+)\s*$/m.exec(text)?.[1];
  const printFormat = /^print fmt:(.*)$/m.exec(text)?.[1];
  if (id === undefined || printFormat === undefined) return undefined;
  return { id: Number(id), fields: parseFields(text), printFormat };
}

/** Parses the `field:TYPE NAME; offset:N; size:N;` lines that `format` and `header_page` share. */
export function parseFields(text: string): ReadonlyMap<string, Field> {
  const fields = new Map<string, Field>();
  const line = /^\s*field:[^;\n]*?(\w+)(?:\[[^;\n]*\])?;\s*offset:(\d+);\s*size:(\d+);/gm;
  for (const [, name, offset, size] of text.matchAll(line)) {
    if (name !== undefined) fields.set(name, { offset: Number(offset), size: Number(size) });
  }
  return fields;
}
