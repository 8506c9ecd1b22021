import type { CommandOutput, RunOptions } from '../model/host.ts';
import type { Reading } from '../model/reading.ts';
import type { ClosableView } from './closable.ts';
import { enterNamespace } from './entered.ts';
import type { Namespace } from './namespace.ts';

/** A namespace that is entered when something is first read in it: most runs never do. */
export class LateView implements ClosableView {
  readonly #namespace: Namespace;
  #entered: Promise<Reading<ClosableView>> | undefined;

  constructor(namespace: Namespace) {
    this.#namespace = namespace;
  }

  async readFile(path: string): Promise<Reading<string>> {
    const view = await this.#enter();
    return view.status === 'ok' ? view.value.readFile(path) : view;
  }

  async readFiles(paths: readonly string[]): Promise<readonly Reading<string>[]> {
    const view = await this.#enter();
    return view.status === 'ok' ? view.value.readFiles(paths) : paths.map(() => view);
  }

  async list(directory: string): Promise<Reading<readonly string[]>> {
    const view = await this.#enter();
    return view.status === 'ok' ? view.value.list(directory) : view;
  }

  async run(
    argv: readonly [string, ...string[]],
    options?: RunOptions,
  ): Promise<Reading<CommandOutput>> {
    const view = await this.#enter();
    return view.status === 'ok' ? view.value.run(argv, options) : view;
  }

  async close(): Promise<void> {
    const view = await this.#entered;
    if (view?.status === 'ok') await view.value.close();
    await this.#namespace.close();
  }

  #enter(): Promise<Reading<ClosableView>> {
    this.#entered ??= enterNamespace(this.#namespace);
    return this.#entered;
  }
}
