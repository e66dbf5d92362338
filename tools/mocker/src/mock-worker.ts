import { randomUUID } from 'node:crypto';
import { encodeForwardPass, type MockLaunch } from '@dynamo/internal';
import { KvPublisher, type TokenRequest } from '@dynamo/kv-router';
import { decodeTokenRequest, encodeSequenceEvents, openLoads, publishChanges } from '@dynamo/kv-router/internal';
import { type DistributedRuntime, DynamoError, type EndpointPath, type HandlerContext, type Logger, type Served } from '@dynamo/runtime';
import { encodeModel, type EventPublisher, type EventScope, itemsOf, parseEndpointPath } from '@dynamo/runtime/internal';
import { kvChanges } from './cache-changes.ts';
import { mockCard } from './card.ts';
import { EngineMetrics } from './engine-metrics.ts';
import { LiveEngine, type RankPass } from './live-engine.ts';
import { LiveRequest } from './live-request.ts';
import { type RecordedReplies, readReplies, replyFor } from './recorded-replies.ts';
import { type LogitsMode, processedTokens } from './processed-tokens.ts';
import { replyTokens } from './reply-tokens.ts';
import { handedOn, lastChunk, rejectedChunk, tokenChunk, usage, type WireChunk } from './wire/chunk.ts';

/** How often an idle worker says that it is there. */
const heartbeatMs = 1_000;

/** What a mock worker serves. */
export interface MockWorkerOptions {
  readonly endpoint: EndpointPath;
  /** Folder with config.json and tokenizer.json. */
  readonly model: string;
  readonly name?: string | undefined;
  /** Address under which a decode worker reaches this one. */
  readonly host?: string | undefined;
  /** Ids of words, for answers that people can read. */
  readonly words?: readonly number[] | undefined;
  readonly random?: (() => number) | undefined;
  /** Lets logits processors have a say in each token; without it none are computed. */
  readonly logits?: LogitsMode | undefined;
}

/**
 * A worker around mock engines: it answers, tells of its cache, its load and its passes, and answers recovery queries, as
 * the real one does (spec mocker 5, kv-router 15-17).
 */
export class MockWorker implements AsyncDisposable {
  readonly served: Served;
  readonly engine: LiveEngine;
  readonly #stack: AsyncDisposableStack;

  private constructor(served: Served, engine: LiveEngine, stack: AsyncDisposableStack) {
    this.served = served;
    this.engine = engine;
    this.#stack = stack;
  }

  /** Serves a worker; resolved when frontends can find it. */
  static async open(runtime: DistributedRuntime, launch: MockLaunch, options: MockWorkerOptions): Promise<MockWorker> {
    await using stack = new AsyncDisposableStack();
    const card = await mockCard(launch, { model: options.model, name: options.name, host: options.host ?? '127.0.0.1' });
    const replies = launch.repliesPath === undefined ? undefined : await readReplies(launch.repliesPath);
    const telling = stack.use(await Telling.open(runtime, launch, options.endpoint));
    const metrics = stack.use(new EngineMetrics(runtime.metrics, { ranks: launch.ranks, model: card.display_name }));
    const engine = stack.use(
      new LiveEngine(launch.engine, {
        ranks: launch.ranks,
        onPass: (ranks, seconds) => {
          telling.passed(ranks, seconds);
          metrics.passed(ranks);
        },
        onFailed: (error) => runtime.log.error({ error: String(error) }, 'the mock engine has failed'),
      }),
    );
    const answers = new Answers({
      engine,
      launch,
      replies,
      telling,
      metrics,
      words: options.words,
      random: options.random ?? Math.random,
      logits: options.logits,
      log: runtime.log,
    });
    const served = stack.use(
      await runtime.serve(options.endpoint, (request: unknown, context: HandlerContext) => answers.answer(decodeTokenRequest(request), context)),
    );
    const { id, namespace, component, endpoint } = served.instance;
    stack.use(await runtime.discovery.put(encodeModel({ id, namespace, component, endpoint, card: { ...card } })));
    return new MockWorker(served, engine, stack.move());
  }

  /** Withdraws, lets running requests end, and closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** Everything that a worker tells others without being asked. */
class Telling implements AsyncDisposable {
  readonly #workerId: bigint;
  readonly #caches: readonly KvPublisher[];
  readonly #loads: Awaited<ReturnType<typeof openLoads>>;
  readonly #passes: EventPublisher;
  readonly #sequences: EventPublisher | undefined;
  readonly #stack: AsyncDisposableStack;
  #counter = 0;
  #lastMs = performance.now();

  private constructor(parts: {
    workerId: bigint;
    caches: readonly KvPublisher[];
    loads: Awaited<ReturnType<typeof openLoads>>;
    passes: EventPublisher;
    sequences: EventPublisher | undefined;
    ranks: number;
    stack: AsyncDisposableStack;
  }) {
    this.#workerId = parts.workerId;
    this.#caches = parts.caches;
    this.#loads = parts.loads;
    this.#passes = parts.passes;
    this.#sequences = parts.sequences;
    this.#stack = parts.stack;
    const timer = setInterval(() => this.#beat(parts.ranks), heartbeatMs);
    timer.unref();
    this.#stack.defer(() => clearInterval(timer));
  }

  static async open(runtime: DistributedRuntime, launch: MockLaunch, endpoint: EndpointPath): Promise<Telling> {
    await using stack = new AsyncDisposableStack();
    const { namespace, component, endpoint: name } = parseEndpointPath(endpoint);
    const scope: EventScope = { namespace, component, endpoint: name };
    const workerId = runtime.discovery.instanceId;
    const role = launch.wire.engine.worker_type;
    const tells = role !== 'decode' && launch.wire.engine.enable_prefix_caching;
    const caches: KvPublisher[] = [];
    for (let dpRank = 0; tells && dpRank < launch.ranks; dpRank++)
      caches.push(
        stack.use(
          await KvPublisher.open(runtime, endpoint, {
            blockSize: launch.wire.engine.block_size,
            dpRank,
            localIndex: launch.localIndexer,
            loads: false,
          }),
        ),
      );
    const loads = stack.use(await openLoads(runtime, scope, workerId));
    const passes = stack.use(await runtime.events.publish(scope, 'forward-pass-metrics'));
    const sequences = role === 'prefill' ? undefined : stack.use(await runtime.events.publish(scope, 'active_sequences_events'));
    return new Telling({ workerId, caches, loads, passes, sequences, ranks: launch.ranks, stack: stack.move() });
  }

  /** Tells of one pass of all ranks: what is cached, what was done, and how full each is. */
  passed(ranks: readonly RankPass[], seconds: number | undefined): void {
    if (seconds !== undefined) this.#counter++;
    this.#lastMs = performance.now();
    for (const { dpRank, pass, engine } of ranks) {
      const changes = kvChanges(pass?.changes ?? []);
      const cache = this.#caches[dpRank];
      if (changes.length > 0 && cache !== undefined) publishChanges(cache, changes);
      if (seconds !== undefined)
        this.#passes.publish(encodeForwardPass({ workerId: this.#workerId, dpRank, counter: this.#counter, seconds }, pass?.forward));
      this.#loads.report({ dpRank, kvUsedBlocks: engine.load.activeBlocks });
    }
  }

  /** Tells routers that the prompt of a request has been read. */
  firstToken(requestId: string, dpRank: number): void {
    this.#sequences?.publish(
      encodeSequenceEvents([{ requestId, workerId: this.#workerId, dpRank, routerId: this.#workerId, change: { type: 'prefillDone' } }]),
    );
  }

  #beat(ranks: number): void {
    if (performance.now() - this.#lastMs < heartbeatMs) return;
    this.#counter++;
    for (let dpRank = 0; dpRank < ranks; dpRank++)
      this.#passes.publish(encodeForwardPass({ workerId: this.#workerId, dpRank, counter: this.#counter, seconds: 0 }, undefined));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

interface AnswerParts {
  readonly engine: LiveEngine;
  readonly launch: MockLaunch;
  readonly replies: RecordedReplies | undefined;
  readonly telling: Telling;
  readonly metrics: EngineMetrics;
  readonly words: readonly number[] | undefined;
  readonly random: () => number;
  readonly logits: LogitsMode | undefined;
  readonly log: Logger;
}

/** Makes answers out of what the engine does. */
class Answers {
  readonly #parts: AnswerParts;
  #turn = 0;

  constructor(parts: AnswerParts) {
    this.#parts = parts;
  }

  answer(request: TokenRequest, context: HandlerContext): AsyncIterable<WireChunk> {
    return itemsOf(() => this.#stream(request, context));
  }

  async *#stream(request: TokenRequest, context: HandlerContext): AsyncGenerator<readonly WireChunk[]> {
    const { engine, telling, metrics, launch } = this.#parts;
    const isPrefill = launch.wire.engine.worker_type === 'prefill';
    const { live, maxTokens } = this.#accept(request, context, isPrefill);
    const onAbort = (): void => engine.cancel(live);
    context.signal.addEventListener('abort', onAbort, { once: true });
    try {
      engine.submit(live, maxTokens);
      let seen = 0;
      while (!context.signal.aborted) {
        const steps = await live.take();
        const chunks: WireChunk[] = [];
        for (const { tokenId, end } of steps) {
          if (tokenId !== undefined) {
            if (seen++ === 0) telling.firstToken(context.id, live.dpRank);
            metrics.token(live);
            chunks.push(seen === 1 ? tokenChunk(tokenId, { ...(isPrefill ? handedOn : {}), ...this.#usage(live, 1) }) : tokenChunk(tokenId));
          }
          if (end === 'rejected') chunks.push(rejectedChunk());
          else if (end === 'completed') {
            metrics.ended(live);
            chunks.push(lastChunk({ prompt: live.promptTokens, completion: seen, cached: live.cachedTokens }));
          }
        }
        if (chunks.length > 0) yield chunks;
        if (steps.at(-1)?.end !== undefined) return;
      }
    } finally {
      context.signal.removeEventListener('abort', onAbort);
      // Whoever leaves early takes the request along; one that has ended is no longer there to be taken out.
      engine.cancel(live);
    }
  }

  #usage(live: LiveRequest, completion: number): WireChunk {
    return usage({ prompt: live.promptTokens, completion, cached: live.cachedTokens });
  }

  #accept(request: TokenRequest, context: HandlerContext, isPrefill: boolean): { live: LiveRequest; maxTokens: number } {
    const { launch, replies, words, random, logits, log } = this.#parts;
    const recorded = replyFor(request.annotations, replies);
    const asked = recorded?.length ?? request.stop?.maxTokens;
    if (asked === undefined) throw new DynamoError('invalid_argument', 'max_output_tokens must be specified for mocker');
    if (asked === 0 && !isPrefill) throw new DynamoError('unknown', 'live requests must generate at least one output token');
    const maxTokens = isPrefill ? 1 : asked;
    const routing = request.routing ?? {};
    const id = context.id === '' ? randomUUID() : context.id;
    const plain = replyTokens({ maxTokens, recorded, reasoning: launch.reasoning, words, random });
    const live: LiveRequest = new LiveRequest(id, {
      prompt: request.tokenIds,
      lora: textOf(routing['lora_name']),
      salt: textOf(routing['cache_salt']),
      dpRank: this.#rankOf(routing[isPrefill ? 'prefill_dp_rank' : 'dp_rank'] ?? routing['dp_rank'], launch.ranks),
      arrivedMs: performance.now(),
      reply: logits === undefined ? plain : processedTokens(plain, logits, { id, tokens: () => live.tokens, log }),
    });
    return { live, maxTokens };
  }

  /** The rank that a request names; in turn where it names none. */
  #rankOf(asked: unknown, ranks: number): number {
    if (typeof asked !== 'number') return this.#turn++ % ranks;
    if (asked >= ranks) throw new DynamoError('invalid_argument', `dp_rank ${asked} is out of bounds for dp_size ${ranks}`);
    return asked;
  }
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);
