import { Command, CommanderError, Option } from 'commander';
import { readConfig } from './config.ts';
import { commands, REPORT_EXIT_CODES, UNNAMED, type CommandSpec } from './commands.ts';
import { Interrupted, interruptible } from './interrupt.ts';
import { endsWhenReaderLeaves } from './output.ts';
import type { OptionSpec } from './options.ts';
import { UsageError } from './usage-error.ts';
import { version } from './version.ts';

/** Exit code for bad usage and for failures of our own: could not tell. */
const UNKNOWN = 3;

/** @returns the exit code (DESIGN section 4). */
export async function runProgram(argv: readonly string[]): Promise<number> {
  endsWhenReaderLeaves();
  const interrupted = interruptible();
  const outcome = { exitCode: 0, debug: false };
  const program = new Command('whydrop')
    .description('Why does this Linux host drop packets, and what do I change?')
    .usage('[command] [options]')
    .version(version)
    .helpOption('-h, --help', 'show this help')
    .helpCommand(false)
    .exitOverride()
    .configureOutput({ outputError })
    .showHelpAfterError('whydrop --help shows what it can do.')
    .addHelpText('after', GENERAL_HELP);
  for (const spec of commands) {
    program.addCommand(
      build(spec, async (operands, flags) => {
        outcome.debug = flags['debug'] === true;
        outcome.exitCode = await spec.run(operands, flags, interrupted);
      }),
      { hidden: spec.hidden === true },
    );
  }
  try {
    await program.parseAsync([...withCommand(argv)], { from: 'user' });
    return interrupted.exitCode() ?? outcome.exitCode;
  } catch (error) {
    if (error instanceof Interrupted) return interrupted.exitCode() ?? UNKNOWN;
    return explain(error, outcome.debug);
  }
}

const GENERAL_HELP = `
Without a command, whydrop starts a guided session on a terminal and prints a report elsewhere.

Examples:
  whydrop                            find out step by step
  whydrop report                     measure for 5 seconds, print ranked causes
  whydrop report --netns web --json  another network namespace, for a program
  whydrop fix --dry-run              what would be changed
  whydrop undo                       what was changed, and take it back

${REPORT_EXIT_CODES}
It makes no network connections and changes nothing without being told to.`;

/** `whydrop`, `whydrop --netns b` and `whydrop --fix` name no command. */
function withCommand(argv: readonly string[]): readonly string[] {
  const [first = '-'] = argv;
  const named = !first.startsWith('-') || ['-h', '--help', '-V', '--version'].includes(first);
  return named ? argv : [UNNAMED, ...argv];
}

function build(
  spec: CommandSpec,
  run: (operands: readonly string[], flags: Record<string, unknown>) => Promise<void>,
): Command {
  const named = spec.name === UNNAMED ? 'whydrop' : `whydrop ${spec.name}`;
  const command = new Command(spec.name)
    .description(spec.summary)
    .exitOverride()
    .configureOutput({ outputError })
    .showHelpAfterError(`${named} --help shows what it takes.`);
  command.helpOption('-h, --help', 'show this help');
  for (const argument of spec.arguments ?? []) command.argument(argument.name, argument.help);
  for (const option of spec.options) command.addOption(toOption(option));
  command.addHelpText(
    'after',
    [
      '',
      'Examples:',
      ...spec.examples.map((line) => `  ${line}`),
      ...(spec.exitCodes === undefined ? [] : ['', spec.exitCodes]),
    ].join('\n'),
  );
  command.action(async () => {
    for (const { flags, list } of spec.options) {
      const name = new Option(flags).attributeName();
      if (list === true && command.getOptionValueSource(name) === 'env') {
        command.setOptionValue(name, String(command.getOptionValue(name)).split(','));
      }
    }
    await run(command.args, await withConfig(command));
  });
  return command;
}

/** The options, with what the configuration files say where neither command line nor environment does. */
async function withConfig(command: Command): Promise<Record<string, unknown>> {
  const flags: Record<string, unknown> = command.opts();
  if (!command.options.some(({ long }) => long === '--ignore')) return flags;
  const { defaults, suppressions } = await readConfig(process.env);
  for (const [name, value] of Object.entries(defaults)) {
    const source = command.getOptionValueSource(name);
    if (source === undefined || source === 'default') flags[name] = value;
  }
  return { ...flags, suppressions };
}

/** As every other message of whydrop. */
function outputError(text: string, write: (text: string) => void): void {
  write(text.replace(/^error: /, 'whydrop: '));
}

function toOption(spec: OptionSpec): Option {
  const option = new Option(spec.flags, spec.help);
  if (spec.env !== undefined && isGiven(spec.env, option)) option.env(spec.env);
  if (spec.default !== undefined) option.default(spec.default);
  if (spec.hidden === true) option.hideHelp();
  if (spec.choices !== undefined) option.choices([...spec.choices]);
  return option;
}

/** commander takes an empty variable for a value, and whatever the variable of a flag says for yes. */
function isGiven(variable: string, option: Option): boolean {
  const value = process.env[variable] ?? 'unset';
  const isFlag = option.isBoolean() || option.negate;
  return value !== '' && !(isFlag && /^(?:0|false|no|off)$/i.test(value));
}

function explain(error: unknown, debug: boolean): number {
  // commander has printed its own message; help and version end with code 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : UNKNOWN;
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`whydrop: ${message}\n`);
  if (!(error instanceof UsageError)) {
    process.stderr.write(
      debug && error instanceof Error
        ? `${error.stack ?? ''}\n`
        : 'This is a fault of whydrop. Run it again with --debug and report what it prints.\n',
    );
  }
  return UNKNOWN;
}
