/** At most that, or at least; in the unit of the figure. */
export type Goal = { readonly atMost: number } | { readonly atLeast: number };

/** One measured number, as the table and the JSON show it. */
export interface Figure {
  readonly id: string;
  readonly what: string;
  readonly value: number;
  readonly unit: '×' | 's' | 'ms' | 'ns' | 'MB' | 'events';
  /** Absent: measured for comparison only. */
  readonly goal?: Goal;
  /** What was run, as somebody would type it. */
  readonly command: string;
}

/** Where the time of a figure goes: rows of text, the first one names the columns. */
export interface Breakdown {
  readonly title: string;
  readonly rows: readonly (readonly string[])[];
}

export interface Section {
  readonly title: string;
  readonly figures: readonly Figure[];
  readonly breakdowns: readonly Breakdown[];
  readonly notes: readonly string[];
}

export function holds({ value, goal }: Figure): boolean | undefined {
  if (goal === undefined) return undefined;
  return 'atMost' in goal ? value <= goal.atMost : value >= goal.atLeast;
}

export function ms(value: number): string {
  return `${value.toFixed(0)} ms`;
}
