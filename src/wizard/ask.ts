import { UsageError } from '../cli/usage-error.ts';

/** Ctrl-C at a prompt. */
export class Cancelled extends Error {
  override readonly name = 'Cancelled';
}

export interface Choice<Value> {
  readonly name: string;
  readonly value: Value;
  /** Shown below the list while the choice is highlighted. */
  readonly description?: string;
}

/** Whether there is somebody to ask. */
export function canAsk(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY;
}

/** Default No: Enter alone changes nothing. */
export async function confirm(message: string): Promise<boolean> {
  return (await ask({ type: 'confirm', message, default: false })) === true;
}

export async function choose<Value>(
  message: string,
  choices: readonly Choice<Value>[],
): Promise<Value> {
  const answer = await ask({
    type: 'select',
    message,
    pageSize: 12,
    choices: choices.map(({ name, description }, index) => ({
      name,
      value: index,
      ...(description === undefined ? {} : { description }),
    })),
  });
  const chosen = choices[Number(answer)];
  if (chosen === undefined) throw new Cancelled();
  return chosen.value;
}

/**
 * Asks on stderr: stdout is for the product. inquirer off a terminal prints its prompt, takes the
 * default and lets the process end with 0, so nothing may get here without one.
 */
async function ask(question: Record<string, unknown>): Promise<unknown> {
  if (!canAsk()) {
    throw new UsageError('this needs a terminal to ask on; `whydrop report` never asks');
  }
  const { default: inquirer } = await import('inquirer');
  const prompt = inquirer.createPromptModule({ output: process.stderr });
  try {
    const answers: Record<string, unknown> = await prompt([
      { ...question, name: 'answer' } as never,
    ]);
    return answers['answer'];
  } catch (error) {
    if (error instanceof Error && error.name === 'ExitPromptError') throw new Cancelled();
    throw error;
  }
}
