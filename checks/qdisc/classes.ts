import type { Host } from '../../src/model/host.ts';

/** A share of a line, as an administrator divided it. */
export interface TcClass {
  /** `1:10` */
  readonly id: string;
  /** Of its discipline: `htb`, `hfsc` … */
  readonly kind: string;
  /** As tc shows them, without bursts: `prio 0 rate 100Kbit ceil 200Kbit`. */
  readonly settings: string;
  /** Packets. Those of the classes below are not in it (htb_enqueue, hfsc_enqueue, Linux 6.18). */
  readonly dropped: bigint;
}

/** Disciplines whose classes somebody made by hand. The others number theirs by CPU, band or flow. */
const KINDS: ReadonlySet<string> = new Set(['htb', 'hfsc', 'drr', 'qfq']);
const commandTimeoutMs = 1000;

export function hasClasses({ kind }: { readonly kind: string }): boolean {
  return KINDS.has(kind);
}

/** Nothing where tc does not say. */
export async function readClasses(host: Host, device: string): Promise<readonly TcClass[]> {
  const run = await host.run(['tc', '-s', 'class', 'show', 'dev', device], {
    timeoutMs: commandTimeoutMs,
  });
  return run.status === 'ok' ? parseClasses(run.value.stdout) : [];
}

/**
 * Output of `tc -s class show dev DEVICE`: for each class a heading, with lines of numbers below it. tc 6.1 prints no
 * JSON here, though asked for it.
 */
export function parseClasses(text: string): readonly TcClass[] {
  return text.split(/^class /m).flatMap((part): TcClass[] => {
    const [heading = '', ...numbers] = part.split('\n');
    const [, kind, id, settings] =
      /^(\S+) ([\da-f]+:[\da-f]+) (?:root|parent \S+) ?(?:leaf \S+ )?(.*)$/.exec(heading) ?? [];
    const dropped = /^ Sent \d+ bytes \d+ pkt \(dropped (\d{1,20}),/m.exec(numbers.join('\n'))?.[1];
    if (kind === undefined || id === undefined || dropped === undefined) return [];
    const shown = (settings ?? '').replace(/ ?\bburst .*/, '').trim();
    return [{ id, kind, settings: shown, dropped: BigInt(dropped) }];
  });
}
