#!/usr/bin/env -S node --conditions=@dynamo/source
import { CommanderError } from 'commander';
import { commands, createProgram } from './program.ts';
import { endingOf, UsageError } from './usage.ts';

/** Runs the command line; resolves with the exit code. */
async function run(argv: readonly string[]): Promise<number> {
  let exitCode = 0;
  const [word] = argv;
  // The router's own word for it.
  if (word === 'router' && argv[1] === 'what-if')
    return run(['what-if', ...(argv[2]?.startsWith('-') === false ? ['--recording'] : []), ...argv.slice(2)]);
  // The words of the real entrypoint's forerunner, and the real frontend's short flag.
  if (word === 'run' && argv.some((arg) => /^(in|out)=/.test(arg))) return run(argv.map(spelledOut));
  if (word === 'frontend' && argv.includes('-i')) return run(argv.map((arg) => (arg === '-i' ? '--interactive' : arg)));
  try {
    if (word !== undefined && !word.startsWith('-') && word !== 'help' && !Object.hasOwn(commands, word))
      throw new UsageError(`unknown command '${word}'; there are ${Object.keys(commands).join(', ')}`);
    await createProgram((code) => (exitCode = code)).parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (error) {
    // The parser has said its line already.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    const { line, code } = endingOf(error);
    process.stderr.write(`dynamo: ${line}\n`);
    if (process.env['DYN_LOG']?.includes('debug') === true && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    return code;
  }
}

/** `in=WORD` and `out=WORD` as flags. */
const spelledOut = (arg: string): string => arg.replace(/^in=/, '--in=').replace(/^out=/, '--engine=');

// Everything has been disposed by now; what a library left open must not hold the process.
process.exit(await run(process.argv.slice(2)));
