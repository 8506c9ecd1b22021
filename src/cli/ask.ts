import type { Key } from 'node:readline';
import { createInterface } from 'node:readline/promises';
import { Interrupted, type Interruption } from './interrupt.ts';
import { UsageError } from './usage-error.ts';

export interface Choice<Value> {
  readonly name: string;
  /** What stands on the screen once it is chosen. */
  readonly short?: string;
  readonly value: Value;
}

/** Whether there is somebody to ask. */
export function canAsk(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY;
}

/** Asks on stderr: stdout is for the product. Ctrl-C, Ctrl-D and a signal at a question throw Interrupted. */
export class Asker {
  readonly #interrupted: Interruption;
  readonly #plain: boolean;

  /** @param plain numbers to type, for screen readers and terminals that cannot move the cursor */
  constructor(interrupted: Interruption, plain: boolean) {
    this.#interrupted = interrupted;
    this.#plain = plain;
  }

  /** Default No: Enter alone changes nothing. */
  async confirm(message: string): Promise<boolean> {
    if (this.#plain) return /^y(?:es)?$/i.test(await this.#line(`${message} [y/N] `));
    return (await this.#prompt({ type: 'confirm', message, default: false })) === true;
  }

  async choose<Value>(message: string, choices: readonly Choice<Value>[]): Promise<Value> {
    const index = this.#plain
      ? await this.#number(message, choices)
      : await this.#prompt({
          type: 'select',
          message,
          pageSize: 12,
          choices: choices.map(({ name, short = name }, index) => ({ name, short, value: index })),
        });
    const chosen = choices[Number(index)];
    if (chosen === undefined) throw new Interrupted();
    return chosen.value;
  }

  /** @returns an index of `choices` */
  async #number(message: string, choices: readonly Choice<unknown>[]): Promise<number> {
    const list = choices.map(({ name }, index) => `  ${index + 1}  ${name}\n`).join('');
    process.stderr.write(`\n${message}\n${list}`);
    for (;;) {
      const answer = await this.#line(`Number, 1 to ${choices.length} [1]: `);
      const number = answer === '' ? 1 : Number(answer);
      if (choices[number - 1] !== undefined) return number - 1;
    }
  }

  async #line(prompt: string): Promise<string> {
    return this.#untilCancelled(async (signal) => {
      // Not as a terminal: the kernel edits the line, and makes Ctrl-C a signal.
      const lines = createInterface({
        input: process.stdin,
        output: process.stderr,
        terminal: false,
      });
      try {
        return (await lines.question(prompt, { signal })).trim();
      } finally {
        lines.close();
      }
    });
  }

  async #prompt(question: Record<string, unknown>): Promise<unknown> {
    const { default: inquirer } = await import('inquirer');
    return this.#untilCancelled(async (signal) => {
      const prompt = inquirer.createPromptModule({ output: process.stderr, signal });
      const answers: Record<string, unknown> = await prompt([
        { ...question, name: 'answer' } as never,
      ]);
      return answers['answer'];
    });
  }

  /**
   * inquirer off a terminal prints its prompt, takes the default and lets the process end with 0, so
   * nothing may get there without one. At the end of input (Ctrl-D) neither it nor readline settles.
   */
  async #untilCancelled<Answer>(
    question: (signal: AbortSignal) => Promise<Answer>,
  ): Promise<Answer> {
    if (!canAsk()) {
      throw new UsageError('this needs a terminal to ask on; `whydrop report` never asks');
    }
    const { stdin } = process;
    const ended = new AbortController();
    const end = (): void => {
      ended.abort();
    };
    // A terminal in raw mode makes Ctrl-D a key.
    const onKey = (_: unknown, { ctrl, name }: Key): void => {
      if (ctrl === true && name === 'd') end();
    };
    stdin.on('end', end);
    stdin.on('keypress', onKey);
    try {
      return await question(AbortSignal.any([this.#interrupted.signal, ended.signal]));
    } catch (error) {
      if (error instanceof Error && /^(?:ExitPrompt|AbortPrompt|Abort)Error$/.test(error.name)) {
        this.#interrupted.interrupt();
        throw new Interrupted();
      }
      throw error;
    } finally {
      stdin.off('end', end);
      stdin.off('keypress', onKey);
    }
  }
}
