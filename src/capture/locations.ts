import { resolveSymbols, type Location } from './symbols.ts';
import { errorCode } from './unavailable.ts';

/**
 * Names of kernel addresses, looked up as they come: a pass over /proc/kallsyms takes 75 ms, which
 * nobody notices in the window, and everybody at its end.
 */
export class Locations {
  readonly #readKallsyms: () => AsyncIterable<Uint8Array>;
  readonly #known = new Map<string, Location>();
  readonly #notes = new Set<string>();
  #looking: Promise<void> = Promise.resolve();

  constructor(readKallsyms: () => AsyncIterable<Uint8Array>) {
    this.#readKallsyms = readKallsyms;
  }

  /** By address; those that could not be looked up are missing. */
  get known(): ReadonlyMap<string, Location> {
    return this.#known;
  }

  /** What kept us from naming addresses, and what would help. */
  get notes(): readonly string[] {
    return [...this.#notes];
  }

  /** One pass at a time. Resolves when these addresses have been looked up. */
  async learn(addresses: readonly string[]): Promise<void> {
    this.#looking = this.#looking.then(() => this.#lookUp(addresses));
    await this.#looking;
  }

  async #lookUp(addresses: readonly string[]): Promise<void> {
    const wanted = addresses.filter((address) => !this.#known.has(address));
    if (wanted.length === 0) return;
    try {
      const { locations, hidden } = await resolveSymbols(wanted, this.#readKallsyms());
      for (const [address, location] of locations) this.#known.set(address, location);
      if (hidden) {
        this.#notes.add(
          'The kernel hides function addresses, so drops are shown by raw address. This helps: sysctl kernel.kptr_restrict=1',
        );
      }
    } catch (error) {
      this.#notes.add(
        `/proc/kallsyms cannot be read (${errorCode(error)}), so drops are shown by raw address.`,
      );
    }
  }
}
