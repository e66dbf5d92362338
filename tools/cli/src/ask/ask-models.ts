import { setTimeout as sleep } from 'node:timers/promises';
import { text } from 'node:stream/consumers';
import type { Frontend } from '@dynamo/llm';
import { UsageError } from '../usage.ts';
import { say } from './asking.ts';
import { runBatch, summaryLine } from './batch.ts';
import { ChatSession } from './chat-session.ts';

/** Where requests come from. */
export type AskInput = { readonly kind: 'text' | 'stdin' } | { readonly kind: 'batch'; readonly file: string };

/** How models are asked from the command line. */
export interface AskOptions {
  readonly input: AskInput;
  readonly model?: string | undefined;
  readonly maxTokens?: number | undefined;
  readonly output?: string | undefined;
  readonly concurrency: number;
  readonly resume: boolean;
}

/** Exit code of what a Ctrl-C has ended in the midst. */
const interrupted = 130;

/**
 * Reads the word of `--in`.
 *
 * @throws UsageError in the words of the real entrypoint.
 */
export function inputOf(word: string | undefined, { terminal }: { terminal: boolean }): AskInput {
  if (word === undefined) return { kind: terminal ? 'text' : 'stdin' };
  if (word === 'text' || word === 'stdin') return { kind: word };
  const [, file] = /^batch:(.+)$/.exec(word) ?? [];
  if (file !== undefined) return { kind: 'batch', file };
  throw new UsageError(`Invalid in= option '${word}': expected text, stdin or batch:FILE; 'dynamo frontend' is http, 'dynamo worker' an endpoint`);
}

/** Asks until the input is done; resolves with the exit code. */
export async function askModels(frontend: Frontend, options: AskOptions): Promise<number> {
  const stop = new AbortController();
  let session: ChatSession | undefined;
  const onInterrupt = (): void => (session === undefined ? stop.abort() : session.interrupt());
  const onEnd = (): void => {
    stop.abort();
    session?.leave();
  };
  process.on('SIGINT', onInterrupt).on('SIGTERM', onEnd);
  try {
    const model = await modelOf(frontend, options.model, stop.signal);
    if (model === undefined) return interrupted;
    const request = { model, ...(options.maxTokens === undefined ? {} : { max_tokens: options.maxTokens }) };
    if (options.input.kind === 'text') {
      session = new ChatSession({
        input: process.stdin,
        output: process.stdout,
        terminal: process.stdin.isTTY && process.stdout.isTTY,
        answer: (messages, signal) => say(frontend, { ...request, messages }, signal),
      });
      if (process.stdin.isTTY) process.stderr.write(`Chatting with '${model}'. Ctrl-C ends an answer, and once more the chat.\n`);
      await session.run();
      return 0;
    }
    if (options.input.kind === 'batch') return await askFile(frontend, { ...options, file: options.input.file, model, signal: stop.signal });
    return await askOnce(frontend, request, stop.signal);
  } finally {
    process.off('SIGINT', onInterrupt).off('SIGTERM', onEnd);
  }
}

/** One prompt, all of the standard input; the answer goes to the standard output as it comes. */
async function askOnce(frontend: Frontend, request: { model: string; max_tokens?: number }, signal: AbortSignal): Promise<number> {
  const prompt = (await text(process.stdin)).trim();
  if (prompt === '') throw new UsageError('there is no prompt on the standard input');
  try {
    for await (const piece of say(frontend, { ...request, messages: [{ role: 'user', content: prompt }] }, signal)) process.stdout.write(piece.text);
  } catch (error) {
    if (!signal.aborted) throw error;
    return interrupted;
  } finally {
    process.stdout.write('\n');
  }
  return 0;
}

async function askFile(
  frontend: Frontend,
  { file, output = `${file.replace(/\.jsonl?$/, '')}.out.jsonl`, ...options }: AskOptions & { file: string; model: string; signal: AbortSignal },
): Promise<number> {
  const summary = await runBatch(frontend, { ...options, file, output });
  process.stderr.write(`dynamo: ${output}: ${summaryLine(summary)}\n`);
  return summary.complete ? (summary.failed > 0 ? 1 : 0) : interrupted;
}

/**
 * The model that is asked: the one that was named, or the only one; waits until it is there. Undefined when it was not worth the wait.
 *
 * @throws UsageError where there are several to choose from.
 */
async function modelOf(frontend: Frontend, name: string | undefined, signal: AbortSignal): Promise<string | undefined> {
  let told = false;
  while (!signal.aborted) {
    const { models } = frontend;
    if (name !== undefined ? models.includes(name) : models.length > 0) {
      if (name === undefined && models.length > 1)
        throw new UsageError(`there are several models: name one with --model-name (${models.join(', ')})`);
      return name ?? models[0];
    }
    if (!told) process.stderr.write(`dynamo: waiting for ${name === undefined ? 'a model' : `model '${name}'`}\n`);
    told = true;
    // Aborting ends the wait; the loop looks at the signal itself.
    await sleep(50, undefined, { signal }).catch(() => undefined);
  }
  return undefined;
}
