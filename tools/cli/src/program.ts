import { Command, Option } from 'commander';
import { type CommandName, type Flag, flags } from './flags.ts';
import { available, placeholders } from './flag-types.ts';
import { isLater } from './later-flags.ts';
import { type Given, type Settings, settle } from './settings.ts';
import { version } from './version.ts';

/** Every command: its one line of help, and its code, which is loaded when it runs and not before. */
export const commands: Readonly<Record<CommandName, { summary: string; load: () => Promise<(settings: Settings) => Promise<number>> }>> = {
  serve: {
    summary: 'Runs a frontend and workers together on this machine; the default command.',
    load: async () => (await import('./commands/serve.ts')).runServe,
  },
  run: {
    summary: 'Asks models without HTTP: a chat in the terminal, one prompt, or a file of requests.',
    load: async () => (await import('./commands/run.ts')).runRun,
  },
  frontend: {
    summary: 'Runs the OpenAI-style HTTP frontend for the workers that discovery shows.',
    load: async () => (await import('./commands/frontend.ts')).runFrontend,
  },
  worker: {
    summary: 'Serves a model folder with an engine.',
    load: async () => (await import('./commands/worker.ts')).runWorker,
  },
  router: {
    summary: 'Serves a KV router for the workers of an endpoint, for frontends and other processes to ask.',
    load: async () => (await import('./commands/router.ts')).runRouter,
  },
  'slot-tracker': {
    summary: 'Counts what routers place, over HTTP, so that all of them see the same loads.',
    load: async () => (await import('./commands/services.ts')).runSlotTracker,
  },
  indexer: {
    summary: "Listens to engines' own cache events and tells over HTTP who holds how much of a prompt.",
    load: async () => (await import('./commands/services.ts')).runIndexer,
  },
  'select-service': {
    summary: 'Chooses a worker for each prompt over HTTP, among workers that are told to it.',
    load: async () => (await import('./commands/services.ts')).runSelectService,
  },
  'what-if': {
    summary: "Runs a recording's traffic again with other router options, and prints the runs side by side.",
    load: async () => (await import('./commands/what-if.ts')).runWhatIf,
  },
  mocker: {
    summary: 'Serves mock workers that schedule, cache and tell as real engines do, without a GPU.',
    load: async () => (await import('./commands/mocker.ts')).runMocker,
  },
  planner: {
    summary: 'Decides how many workers a service needs, on paper for a trace or for good, and starts and stops them.',
    load: async () => (await import('./commands/planner.ts')).runPlannerCommand,
  },
  replay: {
    summary: 'Replays a trace over simulated workers, or against a frontend, and tells how it went.',
    load: async () => (await import('./commands/replay.ts')).runReplay,
  },
  keys: {
    summary: 'Makes an API key for frontends with --api-keys-path.',
    load: async () => (await import('./commands/keys.ts')).runKeys,
  },
};

/** The parser of the command line; `finish` gets the exit code of the command that ran. */
export function createProgram(finish: (code: number) => void): Command {
  const program = new Command('dynamo')
    .description('Dynamo for TypeScript: many LLM workers as one service.')
    .version(version)
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(`dynamo: ${oneLine(text)}\n`) });
  for (const [name, { summary, load }] of Object.entries(commands) as [CommandName, (typeof commands)[CommandName]][]) {
    const command = program
      .command(name, { isDefault: name === 'serve' })
      .description(summary)
      .allowExcessArguments(false);
    const options = flags
      .filter((row) => row.commands.includes(name))
      .flatMap((row) =>
        row.flag === undefined
          ? []
          : [
              {
                flag: row.flag,
                options: [
                  ...optionsOf(row, row.flag),
                  ...(row.aliases ?? []).flatMap((alias) => optionsOf(row, alias).map((option) => option.hideHelp())),
                ],
              },
            ],
      );
    for (const option of options.flatMap((entry) => entry.options)) command.addOption(option);
    const variables = flags.filter((row) => row.flag === undefined && row.commands.includes(name));
    if (variables.length > 0)
      command.addHelpText(
        'after',
        `\nVariables without a flag:\n${variables.map((row) => `  ${row.env}: ${helpOf({ ...row, env: '' })}`).join('\n')}`,
      );
    command.action(async (values: Readonly<Record<string, string | boolean | undefined>>) => {
      const given: Given = Object.fromEntries(
        options.map((entry) => [entry.flag, entry.options.map((option) => values[option.attributeName()]).find((value) => value !== undefined)]),
      );
      const settings = settle(name, given, process.env);
      finish(await (await load())(settings));
    });
  }
  program.addHelpText('after', "\n'dynamo COMMAND --help' lists a command's options; options without a command are those of serve.");
  return program;
}

function optionsOf(row: Flag, flag: string): readonly Option[] {
  if (row.type === 'list')
    return [
      new Option(`${flag} <${placeholders.list}>`, helpOf(row)).argParser((text: string, before?: string) =>
        before === undefined ? text : `${before},${text}`,
      ),
    ];
  if (row.type !== 'switch') return [new Option(`${flag} <${placeholders[row.type]}>`, helpOf(row))];
  return [new Option(flag, helpOf(row)), new Option(flag.replace('--', '--no-'), 'Turns it off.')];
}

/** Help of one option, with its words, its variable and its default. */
function helpOf(row: Flag): string {
  const later = (row.choices ?? []).filter((word) => row.later?.(word) === true);
  const facts = [
    row.choices === undefined ? '' : available(row).join(' | '),
    later.length === 0 ? '' : `not in this version: ${later.join(', ')}`,
    row.env ? `env ${row.env}` : '',
    defaultOf(row) === '' ? '' : `default ${defaultOf(row)}`,
  ].filter((fact) => fact !== '');
  return facts.length === 0 ? row.help : `${row.help} (${facts.join('; ')})`;
}

/** The default as people read it; empty when there is none. */
export const defaultOf = (row: Flag): string => row.fallbackText ?? (row.fallback === undefined ? '' : String(row.fallback));

/** A parser's complaint as one line, and a flag of a later version called by what it is. */
function oneLine(text: string): string {
  const unknown = /unknown option '(--[^'=]+)/.exec(text)?.[1];
  if (unknown !== undefined && isLater(unknown)) return `${unknown} is not available in this version`;
  return text
    .replace(/^error: /, '')
    .trim()
    .replaceAll(/\s*\n\s*/g, ' ');
}
