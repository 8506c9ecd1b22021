/**
 * Every option of every command, as data: commander, the help, the environment variables and (later)
 * the man page and completions are made from this one list.
 */
export interface OptionSpec {
  /** As commander takes it: `-d, --duration <time>`. */
  readonly flags: string;
  readonly help: string;
  /** `WHYDROP_…`; a flag on the command line wins. Empty is as good as unset; 0, false, no are off. */
  readonly env?: string;
  readonly default?: string | boolean;
  readonly choices?: readonly string[];
  /** May be given several times, or with several values; in the environment with commas between. */
  readonly list?: true;
  /** Taken, not shown in the help. */
  readonly hidden?: true;
}

export const DEFAULT_DURATION = '5s';

export const measureOptions: readonly OptionSpec[] = [
  {
    flags: '-d, --duration <time>',
    // Not a default of the option: the session asks, unless it is given.
    help: `how long to watch: 500ms, 10s, 2m; 0 reads settings only (default ${DEFAULT_DURATION})`,
    env: 'WHYDROP_DURATION',
  },
  {
    flags: '-n, --netns <name>',
    help: 'diagnose this network namespace: a name, a process id or a path; `all`: every one (one that is called so: /run/netns/all)',
    env: 'WHYDROP_NETNS',
  },
  {
    flags: '-i, --iface <name...>',
    help: 'only causes on these interfaces',
    env: 'WHYDROP_IFACE',
    list: true,
  },
  {
    flags: '--capture <backend>',
    help: 'how to watch drops as they happen; auto is BPF, or tracefs where that is not possible',
    env: 'WHYDROP_CAPTURE',
    default: 'auto',
    choices: ['auto', 'bpf', 'tracefs', 'none'],
  },
  {
    flags: '--only <id...>',
    help: 'report these causes only',
    env: 'WHYDROP_ONLY',
    list: true,
  },
  {
    flags: '--ignore <id...>',
    help: 'leave a cause out of the verdict: ID, or ID@scope for one interface, socket or rule',
    env: 'WHYDROP_IGNORE',
    list: true,
  },
  {
    flags: '--debug',
    help: 'show stack traces of whydrop itself',
    env: 'WHYDROP_DEBUG',
  },
];

export const outputOptions: readonly OptionSpec[] = [
  {
    flags: '-f, --format <format>',
    help: 'how to print',
    env: 'WHYDROP_FORMAT',
    default: 'text',
    choices: ['text', 'json'],
  },
  { flags: '--json', help: 'same as --format json', env: 'WHYDROP_JSON' },
  { flags: '-o, --output <file>', help: 'write the report to a file', env: 'WHYDROP_OUTPUT' },
  {
    flags: '--fail-on <level>',
    help: 'exit non-zero from this severity on',
    env: 'WHYDROP_FAIL_ON',
    default: 'warning',
    choices: ['critical', 'warning', 'never'],
  },
  {
    flags: '--color <when>',
    help: 'color the text',
    env: 'WHYDROP_COLOR',
    default: 'auto',
    choices: ['auto', 'always', 'never'],
  },
  {
    flags: '--plain',
    help: 'no box, no color, no progress; plain ASCII',
    env: 'WHYDROP_PLAIN',
  },
  { flags: '-q, --quiet', help: 'no progress', env: 'WHYDROP_QUIET' },
  {
    flags: '-v, --verbose',
    help: 'also show reconciliation, ruled-out causes, every check and its cost',
    env: 'WHYDROP_VERBOSE',
  },
  { flags: '--no-input', help: 'never ask anything', env: 'WHYDROP_NO_INPUT' },
];

export const replayOptions: readonly OptionSpec[] = [
  {
    flags: '--from <recording>',
    help: 'diagnose a recording made by `whydrop record`',
    env: 'WHYDROP_FROM',
  },
];

export const packetOptions: readonly OptionSpec[] = [
  {
    flags: '--pcap <file>',
    help:
      'write a sample of the dropped packets as pcapng, each with its cause: the first 128 bytes, ' +
      'user data included; needs --capture bpf',
    env: 'WHYDROP_PCAP',
  },
];

export const fixOptions: readonly OptionSpec[] = [
  { flags: '--dry-run', help: 'show what would change, change nothing' },
  { flags: '-y, --yes', help: 'apply without asking', env: 'WHYDROP_YES' },
  { flags: '--safe-only', help: 'only changes of risk `safe`', env: 'WHYDROP_SAFE_ONLY' },
  { flags: '--persist', help: 'also write /etc/sysctl.d/90-whydrop.conf, to survive a reboot' },
  { flags: '--no-verify', help: 'do not measure again after the change' },
];
