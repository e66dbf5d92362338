import { localEngineNames } from './engines/names.ts';
import type { Flag } from './flags.ts';

const run: Flag['commands'] = ['run'];

/** Options of `dynamo run`, which asks models without HTTP. The words of `--in` are those of the real entrypoint and of its forerunner. */
export const runFlags: readonly Flag[] = [
  {
    flag: '--in',
    type: 'text',
    fallbackText: 'text on a terminal, else stdin',
    help: "Where requests come from: text is a chat in the terminal, stdin one prompt, batch:FILE a file with a request a line. 'in=WORD' says the same.",
    option: 'run.input',
    commands: run,
  },
  {
    flag: '--engine',
    type: 'choice',
    choices: localEngineNames,
    fallbackText: 'none: the workers that discovery shows',
    help: "An engine in this process that answers in place of workers. 'out=WORD' says the same.",
    option: 'run.engine',
    commands: run,
  },
  {
    flag: '--max-tokens',
    type: 'count',
    least: 1,
    help: 'Most tokens of an answer, where a request does not say it itself.',
    option: 'run.maxTokens',
    commands: run,
  },
  {
    flag: '--output',
    type: 'text',
    fallbackText: 'FILE.out.jsonl beside the batch',
    help: 'File for the answers of a batch, a line a request in the order of the requests. What it holds already is not asked again.',
    option: 'run.output',
    commands: run,
  },
  {
    flag: '--batch-concurrency',
    type: 'count',
    least: 1,
    fallback: 16,
    help: 'How many requests of a batch are on their way at once.',
    option: 'run.concurrency',
    commands: run,
  },
  {
    flag: '--resume',
    type: 'switch',
    fallback: true,
    help: 'Goes on behind what the output of a batch holds already; without it the file is written anew.',
    option: 'run.resume',
    commands: run,
  },
];
