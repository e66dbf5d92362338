import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type DistributedRuntime, DynamoError, type DynamoErrorCode, type HandlerContext } from '@dynamo/runtime';
import { encodeModel } from '@dynamo/runtime/internal';
import { type CardOptions, cardFromDirectory } from '../model/card.ts';

/** The model folder of almost all captures: token id = byte value. */
export const tinyModel: string = fileURLToPath(new URL('../../../../vectors/llm/model-tiny', import.meta.url));

/** One step of a captured case's worker (vectors/llm/README.md). */
export type ScriptStep = Readonly<Record<string, unknown>>;

/** What the worker saw of one request. */
export interface Received {
  request: unknown;
  metadata: Readonly<Record<string, string>>;
  end?: 'finished' | 'stopped';
}

/** A worker that plays captured scripts for one model, as the worker of the captures did. */
export interface ScriptedWorker extends AsyncDisposable {
  script: readonly ScriptStep[];
  readonly received: Received[];
}

const special: Readonly<Record<string, number>> = {
  '<|endoftext|>': 256,
  '<|im_start|>': 257,
  '<|im_end|>': 258,
  '<think>': 259,
  '</think>': 260,
  '<tool_call>': 261,
  '</tool_call>': 262,
};

/** Token ids of a text under the tiny model's merge-less vocabulary. */
export const tinyIds = (text: string): number[] =>
  text
    .split(/(<\|endoftext\|>|<\|im_start\|>|<\|im_end\|>|<\/?think>|<\/?tool_call>)/)
    .flatMap((piece) => (Object.hasOwn(special, piece) ? [special[piece] as number] : [...Buffer.from(piece)]));

/** Serves the tiny model under a name. */
export async function scriptedWorker(
  runtime: DistributedRuntime,
  name: string,
  card: CardOptions & { raw?: object; component?: string } = {},
): Promise<ScriptedWorker> {
  const received: Received[] = [];
  const worker = { script: [] as readonly ScriptStep[], received };
  await using undo = new AsyncDisposableStack();
  const served = undo.use(
    await runtime.serve(`h3.${card.component ?? 'backend'}.${name}`, async function* (request: unknown, context: HandlerContext) {
      const seen: Received = { request, metadata: context.metadata };
      received.push(seen);
      for (const step of worker.script) {
        for await (const chunk of play(step)) {
          if (context.signal.aborted) return void (seen.end = 'stopped');
          yield chunk;
        }
      }
      seen.end = 'finished';
    }),
  );
  const { raw, component: _, ...options } = card;
  const made = { ...(await cardFromDirectory(tinyModel, { name, ...options })), ...raw };
  const { id, namespace, component, endpoint } = served.instance;
  undo.use(await runtime.discovery.put(encodeModel({ id, namespace, component, endpoint, card: made })));
  const kept = undo.move();
  return Object.assign(worker, { [Symbol.asyncDispose]: () => kept.disposeAsync() });
}

async function* play(step: ScriptStep): AsyncGenerator<unknown> {
  const { _text: text, _textall: textAll, _raise: raise, _sleep: seconds, _yield: value, msg, ...rest } = step;
  if (typeof text === 'string') for (const id of tinyIds(text)) yield { ...rest, token_ids: [id] };
  else if (typeof textAll === 'string') yield { ...rest, token_ids: tinyIds(textAll) };
  else if (typeof raise === 'string') throw exception(raise, String(msg));
  else if (typeof seconds === 'number') await sleep(seconds * 1000);
  else if ('_yield' in step) yield value;
  else yield step;
}

const codes: Readonly<Record<string, DynamoErrorCode>> = {
  ValueError: 'invalid_argument',
  TypeError: 'invalid_argument',
  InvalidArgument: 'invalid_argument',
  CannotConnect: 'cannot_connect',
  Disconnected: 'disconnected',
  ConnectionTimeout: 'connection_timeout',
  Cancelled: 'cancelled',
  EngineShutdown: 'engine_shutdown',
  StreamIncomplete: 'stream_incomplete',
  WorkerUnavailable: 'worker_unavailable',
};

/** The error that a Python worker's exception becomes on the wire (spec runtime-wire 9.2). */
function exception(name: string, message: string): DynamoError {
  const code = codes[name] ?? 'unknown';
  if (name === 'HttpError') return new DynamoError('unknown', JSON.stringify({ message, code: 418 }), { origin: 'local' });
  if (name === 'InvalidArgument') return new DynamoError(code, message, { origin: 'backend', data: { public: { type: 'message', message } } });
  const python = ['ValueError', 'TypeError', 'RuntimeError', 'Exception'].includes(name);
  return new DynamoError(code, python ? `${name}: ${message}` : message, { origin: 'backend' });
}
