import { defineCheck } from '../src/model/check.ts';
import type { View } from '../src/model/host.ts';
import { ok, unread, type Reading } from '../src/model/reading.ts';
import { cardNames } from './card-names.ts';

const table = '/proc/interrupts';

/** Which CPUs the interrupts of the network cards go to. */
export interface Interrupts {
  /** Of cards that have several (MSI); by interface. */
  readonly cards: ReadonlyMap<string, readonly Interrupt[]>;
}

export interface Interrupt {
  readonly irq: number;
  /** As the driver calls it: `eth0-TxRx-0`, `virtio2-input.0`. */
  readonly name: string;
  /** How often it came, by the number of the CPU. */
  readonly perCpu: ReadonlyMap<number, bigint>;
}

export default defineCheck<Interrupts>({
  id: 'interrupts',
  title: 'Interrupts of the network cards',
  sources: [table, '/sys/class/net/*/device/msi_irqs'],
  async read(host, { first }) {
    // They hardly ever change, and a host may have a thousand interfaces.
    const irqs = first === undefined ? await irqsOfCards(host) : ok(numbersOf(first));
    if (irqs.status !== 'ok') return irqs;
    if (irqs.value.size === 0) return ok({ cards: new Map() });
    const text = await host.readFile(table);
    return text.status === 'ok' ? parseInterrupts(text.value, irqs.value) : text;
  },
});

type IrqsOfCards = ReadonlyMap<string, readonly number[]>;

async function irqsOfCards(view: View): Promise<Reading<IrqsOfCards>> {
  const names = await cardNames(view);
  if (names.status !== 'ok') return names;
  const cards = new Map<string, readonly number[]>();
  for (const name of names.value) {
    // The device of a virtio card is a child of the PCI device that has the interrupts.
    for (const device of ['device', 'device/..']) {
      const irqs = await view.list(`/sys/class/net/${name}/${device}/msi_irqs`);
      if (irqs.status === 'ok' && irqs.value.length > 1) cards.set(name, irqs.value.map(Number));
    }
  }
  return ok(cards);
}

function numbersOf({ cards }: Interrupts): IrqsOfCards {
  return new Map([...cards].map(([name, interrupts]) => [name, interrupts.map(({ irq }) => irq)]));
}

/** A head with the CPUs that are online, then a row for each interrupt (show_interrupts, kernel/irq/proc.c, Linux 6.18). */
export function parseInterrupts(text: string, irqs: IrqsOfCards): Reading<Interrupts> {
  const [head = '', ...rows] = text.split('\n');
  const cpus = [...head.matchAll(/CPU(\d+)/g)].map(([, cpu]) => Number(cpu));
  if (cpus.length === 0) return unread('malformed', `${table} does not begin with its CPUs.`);
  const wanted = new Set([...irqs.values()].flat());
  const interrupts = new Map<number, Interrupt>();
  for (const row of rows) {
    const [, number, rest = ''] = /^\s*(\d+):(.*)$/.exec(row) ?? [];
    const irq = Number(number);
    if (!wanted.has(irq)) continue;
    const columns = rest.trim().split(/\s+/);
    const counts = columns.slice(0, cpus.length);
    if (counts.length < cpus.length || !counts.every((count) => /^\d{1,20}$/.test(count))) continue;
    interrupts.set(irq, {
      irq,
      name: columns.slice(cpus.length).at(-1) ?? '',
      perCpu: new Map(cpus.map((cpu, index) => [cpu, BigInt(counts[index] ?? 0)])),
    });
  }
  return ok({
    cards: new Map(
      [...irqs].map(([name, numbers]) => [
        name,
        numbers.flatMap((irq) => interrupts.get(irq) ?? []),
      ]),
    ),
  });
}
