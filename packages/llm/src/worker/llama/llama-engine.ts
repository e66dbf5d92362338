import { availableParallelism } from 'node:os';
import type { KvPublisher, TokenRequest } from '@dynamo/kv-router';
import { DynamoError, type Logger } from '@dynamo/runtime';
import { factsOf, readGguf } from '../../model/gguf/index.ts';
import type { Engine } from '../engine.ts';
import type { LogitsProcessor } from '../logits.ts';
import { BlockLedger } from './block-ledger.ts';
import { Generation } from './generation.ts';
import { loadLibrary, type LlamaLibrary, type LlamaSequence } from './library.ts';
import { checkMemory } from './memory.ts';
import { Slots } from './slots.ts';

/** A GGUF file and how much of the machine it may use. */
export interface LlamaOptions {
  readonly path: string;
  /** Requests that are answered at once, in one batch; each has a KV cache of its own. Default 4. */
  readonly sequences?: number | undefined;
  /** Longest sequence in tokens; by default what the model was trained for, at most 4 096. */
  readonly contextLength?: number | undefined;
  /** Threads that compute; by default half of the machine's. */
  readonly threads?: number | undefined;
  /** Tokens of a block in KV events; default 16. */
  readonly blockSize?: number | undefined;
  /** Makes the processors that change a request's scores before a token is chosen. */
  readonly logitsProcessors?: (request: TokenRequest) => readonly LogitsProcessor[];
  readonly log: Logger;
  /** Free memory, the library and randomness, where they are not the machine's own. */
  readonly world?: { readonly availableBytes?: number; readonly library?: LlamaLibrary; readonly seed?: () => number };
}

/** A model in this process. Disposing frees it; nothing may run then. */
export interface LlamaEngine extends AsyncDisposable {
  readonly engine: Engine;
  /** What its card says beside the file's own metadata. */
  readonly card: {
    readonly contextLength: number;
    readonly blockSize: number;
    readonly capacity: { readonly kvBlocks: number; readonly sequences: number; readonly batchedTokens: number };
  };
  /** From now on tells of its cache and its load. */
  tell(kv: Pick<KvPublisher, 'stored' | 'removed' | 'load'>): void;
}

const defaults = { sequences: 4, contextLength: 4_096, blockSize: 16 } as const;

/** Tokens of one batch, and of one piece of a prompt: a request that is left is noticed between two. */
const batchSize = 256;

/** Requests that may wait for a sequence. */
const mostWaiting = 256;

/** The library keeps one cell of each sequence free, and shifts what is full: neither may happen. */
const spareCells = 8;

/**
 * Loads a GGUF file and answers with it: all requests in one batch, each in a sequence whose KV cache is used again by whoever
 * continues it.
 *
 * @throws DynamoError as `readGguf`; `resource_exhausted` for a model that is too large for the memory; `not_found` without the library.
 */
export async function openLlama(options: LlamaOptions): Promise<LlamaEngine> {
  const { path, world = {}, sequences = defaults.sequences, blockSize = defaults.blockSize } = options;
  const gguf = await readGguf(path);
  const facts = factsOf(gguf);
  const contextLength = options.contextLength ?? Math.min(facts.contextLength, defaults.contextLength);
  if (contextLength > facts.contextLength)
    throw new DynamoError(
      'invalid_argument',
      `a context of ${contextLength} tokens is more than the ${facts.contextLength} that ${path} was made for`,
    );
  checkMemory(gguf, { contextLength, sequences }, world.availableBytes ?? process.availableMemory());
  const library = world.library ?? (await loadLibrary());
  await using stack = new AsyncDisposableStack();
  const llama = await library.getLlama({ build: 'never', gpu: false, logLevel: 'error', skipDownload: true, progressLogs: false });
  stack.defer(() => llama.dispose());
  const threads = options.threads ?? Math.max(1, Math.floor(availableParallelism() / 2));
  const model = await loading(path, () => llama.loadModel({ modelPath: path, gpuLayers: 0 }));
  const context = await loading(path, () =>
    model.createContext({ sequences, contextSize: contextLength + spareCells, batchSize, threads, failedCreationRemedy: false }),
  );
  const ledger = new BlockLedger(blockSize);
  const slots = new Slots<LlamaSequence>(
    Array.from({ length: sequences }, () => ({ sequence: context.getSequence(), held: ledger.open() })),
    mostWaiting,
  );
  const load = loadOf(slots, blockSize);
  const shared = {
    slots,
    ledger,
    contextLength,
    batchSize,
    eosTokenIds: facts.eosTokenIds,
    textOf: (id: number) => model.detokenize([id], true),
    logitsProcessors: options.logitsProcessors ?? (() => []),
    seed: world.seed ?? (() => Math.floor(Math.random() * 2 ** 32)),
    log: options.log,
    onChange: load.report,
  };
  const kept = stack.move();
  return {
    engine: (request, handling) => new Generation(shared, request, handling).answers(),
    card: {
      contextLength,
      blockSize,
      capacity: { kvBlocks: Math.floor((contextLength * sequences) / blockSize), sequences, batchedTokens: batchSize },
    },
    tell(kv) {
      ledger.news = kv;
      load.tell = (used) => kv.load({ kvUsedBlocks: used, activeDecodeBlocks: used });
      load.report();
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Blocks of the requests that run: what idle sequences hold makes way for whoever comes. */
function loadOf(slots: Slots<LlamaSequence>, blockSize: number): { tell: ((used: number) => void) | undefined; report: () => void } {
  const load = {
    tell: undefined as ((used: number) => void) | undefined,
    report: () => load.tell?.(slots.busy.reduce((sum, { held }) => sum + Math.ceil(held.tokens.length / blockSize), 0)),
  };
  return load;
}

/** What llama.cpp says of a file that it can't take becomes an error of ours. */
async function loading<T>(path: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const code = /memory|vram|allocate/i.test(why) ? 'resource_exhausted' : 'invalid_argument';
    throw new DynamoError(code, `llama.cpp can't load ${path}: ${why}`, { cause, data: { path } });
  }
}
