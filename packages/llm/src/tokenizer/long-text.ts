import { Worker } from 'node:worker_threads';
import { DynamoError } from '@dynamo/runtime';

/** How many long texts may wait for the thread; more are refused. */
const waitingLimit = 64;

/** How long the thread stays without work, in milliseconds: it holds a second copy of the vocabulary. */
const idleMs = 60_000;

/** Memory that one thread may take, in MiB: a text that needs more fails alone. */
const memoryLimitMb = 2048;

/** Encodes long texts beside the event loop. */
export interface LongTextEncoder extends AsyncDisposable {
  /**
   * Ids of a text, as the tokenizer itself gives them.
   *
   * @throws DynamoError `resource_exhausted` when too many texts wait, `payload_too_large` when the text needs too much memory.
   */
  encode(text: string): Promise<readonly number[]>;
}

/** What the thread is given. */
export interface LongTextFiles {
  readonly tokenizer: string;
  readonly config: string;
}

/** What the thread says of a text that it can't encode. */
export type Refusal = Pick<DynamoError, 'code' | 'message' | 'data'>;

interface Waiting {
  readonly text: string;
  readonly resolve: (ids: readonly number[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Makes an encoder whose thread starts with the first long text and goes when it has been idle. */
export function longTextEncoder(files: () => Promise<LongTextFiles>): LongTextEncoder {
  const waiting: Waiting[] = [];
  let thread: Promise<Worker> | undefined;
  let idle: NodeJS.Timeout | undefined;
  let busy = false;

  const stop = async (): Promise<void> => {
    clearTimeout(idle);
    const running = thread;
    thread = undefined;
    await (await running?.catch(() => undefined))?.terminate();
  };

  const run = async (): Promise<void> => {
    busy = true;
    clearTimeout(idle);
    for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) {
      try {
        job.resolve(await encodeIn(await (thread ??= open(files)), job.text));
      } catch (error) {
        job.reject(error);
        await stop();
      }
    }
    busy = false;
    idle = setTimeout(() => void stop(), idleMs).unref();
  };

  return {
    encode(text) {
      if (waiting.length >= waitingLimit) {
        return Promise.reject(new DynamoError('resource_exhausted', `${waitingLimit} long prompts are waiting to be tokenized`));
      }
      return new Promise((resolve, reject) => {
        waiting.push({ text, resolve, reject });
        // Every failure in it goes to the text that it belongs to.
        if (!busy) void run();
      });
    },
    async [Symbol.asyncDispose]() {
      for (const job of waiting.splice(0)) job.reject(new DynamoError('cancelled', 'the frontend is shutting down'));
      await stop();
    },
  };
}

async function open(files: () => Promise<LongTextFiles>): Promise<Worker> {
  const file = import.meta.url.endsWith('.ts') ? './long-text-thread.ts' : './long-text-thread.js';
  return new Worker(new URL(file, import.meta.url), {
    workerData: await files(),
    execArgv: import.meta.url.endsWith('.ts') ? ['--conditions=@dynamo/source'] : [],
    resourceLimits: { maxOldGenerationSizeMb: memoryLimitMb },
  });
}

/** One text at a time: whatever the thread says next is about it. */
function encodeIn(thread: Worker, text: string): Promise<readonly number[]> {
  return new Promise((resolve, reject) => {
    const settle = (end: () => void): void => {
      thread.off('message', onMessage).off('error', onError).off('exit', onExit);
      thread.unref();
      end();
    };
    const onMessage = (answer: Uint32Array | Refusal): void =>
      settle(() =>
        answer instanceof Uint32Array ? resolve(Array.from(answer)) : reject(new DynamoError(answer.code, answer.message, { data: answer.data })),
      );
    const onError = (cause: NodeJS.ErrnoException): void =>
      settle(() =>
        reject(
          cause.code === 'ERR_WORKER_OUT_OF_MEMORY'
            ? new DynamoError('payload_too_large', `a prompt of ${text.length} characters needs too much memory to tokenize`, { cause })
            : DynamoError.from(cause),
        ),
      );
    const onExit = (code: number): void => settle(() => reject(new DynamoError('unknown', `the tokenizing thread left with code ${code}`)));
    thread.on('message', onMessage).on('error', onError).on('exit', onExit);
    thread.ref();
    thread.postMessage(text);
  });
}
