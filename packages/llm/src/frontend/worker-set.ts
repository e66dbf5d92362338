import { format, parse } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DynamoError } from '@dynamo/runtime';
import type { Client, DistributedRuntime, EndpointPath, Instance, InstanceId, PolicyName, RoutePolicy } from '@dynamo/runtime';
import type { WireCard } from '../model/wire-card.ts';
import type { BusyThresholds, KvRouterOptions, TokenRequest } from '@dynamo/kv-router';
import {
  bypassesPrefill,
  encodeTokenRequest,
  type KvRoute,
  KvRouting,
  OverloadWatch,
  readTokenFrame,
  readWorkerConfig,
  routeHeader,
} from '@dynamo/kv-router/internal';
import { parseEndpointPath, sessionsOf } from '@dynamo/runtime/internal';
import { migrating, type MigrationOptions } from '../clients/migrating.ts';
import { patient, type Patience } from '../clients/patient.ts';
import { placementOnly } from '../clients/placement-only.ts';
import { type PrefillPool, prefillFirst, type ShapedCall } from '../clients/prefill-first.ts';
import { inputOf, surfacesOf } from '../model/surfaces.ts';
import type { Move } from './frontend-metrics.ts';
import { modelParsers } from '../parsers/for-request.ts';
import { bootstrapOf, parsersOf } from './card-facts.ts';
import { routingOf } from './card-routing.ts';
import { adapterOf } from './adapter-set.ts';
import type { AnyModel } from './serving-model.ts';
import { WireRequest } from './wire-request.ts';
import type { ModelFileStore } from './model-files.ts';

/** Waits between attempts to load a model's files, in milliseconds; the last one repeats (spec llm 1.6). */
const retryMs: readonly number[] = [1_000, 2_000, 4_000, 8_000, 16_000, 30_000];

/** How a frontend chooses workers: a policy by name, or `kv`, whose options are those of the KV router. */
export type RouterOptions = {
  readonly mode?: PolicyName | 'kv';
  readonly routeHeader?: boolean;
  readonly minWorkers?: number;
} & Partial<KvRouterOptions>;

/** What a worker set needs from its frontend. */
export interface WorkerSetParts {
  readonly runtime: DistributedRuntime;
  readonly router: RouterOptions;
  readonly migration: Pick<MigrationOptions, 'limit' | 'maxSequence'>;
  /** How long workers may be silent. */
  readonly patience: Patience;
  /** Told whenever a request of a model has moved to another worker. */
  readonly onMove: (model: string, kind: 'new_request' | 'ongoing_request') => void;
  /** Told when such a move has ended. */
  readonly onMoved: (model: string, move: Move) => void;
  readonly files: ModelFileStore;
  /** Told whenever the set has become ready. */
  readonly onReady: (set: WorkerSet) => void;
  /** Whether a set has all that it needs now, by an alternative without prefill workers. */
  readonly needsNoPrefill: (set: WorkerSet) => boolean;
  /** Who reads prompts for a set of decode workers now. */
  readonly prefillOf: (set: WorkerSet) => WorkerSet | undefined;
}

/** The workers that serve one model on one endpoint with one and the same card (spec llm 1.6). */
export class WorkerSet implements AsyncDisposable {
  readonly path: EndpointPath;
  readonly namespace: string;
  readonly card: WireCard;
  readonly checksum: string;
  readonly created: number = Math.floor(Date.now() / 1000);
  /** The instances that published this card, each with its own: they differ in what a worker alone can know. */
  readonly members: Map<InstanceId, WireCard> = new Map();
  /** The adapters that its workers have loaded, by their names, each with those that have it. */
  readonly adapters: Map<string, ReadonlyMap<InstanceId, WireCard>> = new Map();
  /** Set once the model's files are loaded. */
  model: AnyModel | undefined;
  readonly #client: Client<TokenRequest | WireRequest, unknown>;
  readonly #parts: WorkerSetParts;
  readonly #router: RouterOptions;
  readonly #stop = new AbortController();
  /** Without a KV router, what the workers say of their loads; heard once a threshold is set. */
  #overload: OverloadWatch | undefined;
  readonly #loading: Promise<void>;
  readonly #routing: Promise<KvRouting> | undefined;

  constructor(parts: WorkerSetParts, identity: { path: EndpointPath; namespace: string; card: WireCard; checksum: string }) {
    this.#parts = parts;
    this.path = identity.path;
    this.namespace = identity.namespace;
    this.card = identity.card;
    this.checksum = identity.checksum;
    this.#router = routingOf(identity.card, parts.router, parts.runtime.log);
    const { mode = 'round-robin', routeHeader: tells = false, minWorkers: _, affinity, ...options } = this.#router;
    // What knows no tokens has no blocks to route by.
    const byCache = mode === 'kv' && this.#takesTokens;
    this.#routing = byCache ? this.#openRouting(tells ? { ...options, brief: true } : options) : undefined;
    this.#client = parts.runtime.openClient<TokenRequest | WireRequest, unknown>(identity.path, {
      policy: byCache ? this.#noting(this.#kvPolicy()) : this.#policy(parts.runtime.policy(mode === 'kv' ? 'round-robin' : mode)),
      encodeRequest: (request) => (request instanceof WireRequest ? request.wire : encodeTokenRequest(request)),
      readItem: readTokenFrame,
      policyDecides: byCache,
      ...(affinity === undefined ? {} : { affinity, sharesSessions: true }),
    });
    // One that can not be opened carries nothing, and says so elsewhere.
    this.#routing?.then((routing) => routing.carries(sessionsOf(this.#client))).catch(() => undefined);
    this.#loading = this.#load();
  }

  /** What its workers do for a request. */
  get role(): string {
    return this.card.worker_type;
  }

  /** As a pool that reads prompts. */
  get prefillPool(): PrefillPool {
    return {
      client: this.#client,
      bootstrapOf: (worker) => bootstrapOf(this.members.get(worker)),
      transferOf: (worker) => readWorkerConfig(this.members.get(worker)).transfer,
    };
  }

  /** The names that clients may ask for. */
  get names(): readonly string[] {
    return [this.card.display_name, ...(this.card.aliases ?? [])];
  }

  /** Whether the workers' loads are looked at: not those of token embeddings and tensors (observed in 1.6.1). */
  get measured(): boolean {
    return inputOf(this.card.model_input) === 'text' || this.#takesTokens;
  }

  /** Whether requests are prompts of token ids. */
  get #takesTokens(): boolean {
    return this.role !== 'encode' && inputOf(this.card.model_input) === 'tokens' && !surfacesOf(this.card.model_type).includes('embedding');
  }

  /** When the set's workers count as overloaded from now on. */
  setThresholds(asked: BusyThresholds): void {
    // A limit beyond every count is as good as the largest that can be counted.
    const thresholds =
      asked.prefillTokens === undefined ? asked : { ...asked, prefillTokens: Math.min(asked.prefillTokens, Number.MAX_SAFE_INTEGER) };
    if (this.#routing !== undefined) {
      // One that could not be opened routes nothing.
      void this.#routing.then(({ overload }) => overload.setThresholds(thresholds)).catch(() => undefined);
    } else if (this.#overload !== undefined) this.#overload.setThresholds(thresholds);
    else if (Object.keys(thresholds).length > 0 && this.measured)
      this.#overload = new OverloadWatch(this.#parts.runtime, parseEndpointPath(this.path), thresholds);
  }

  /** Whether a worker is over its thresholds, where no router of its own says so. */
  isOverloaded(id: InstanceId): boolean {
    return this.#overload?.isOverloaded(id) === true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.model = undefined;
    await this.#loading;
    await this.#client[Symbol.asyncDispose]();
    // One that could not be opened has nothing to close.
    await (await this.#routing?.catch(() => undefined))?.[Symbol.asyncDispose]();
    await this.#overload?.[Symbol.asyncDispose]();
  }

  /** Blocks are those of the workers, as their card says. */
  #openRouting(options: Partial<KvRouterOptions>): Promise<KvRouting> {
    const routing = KvRouting.open(this.#parts.runtime, parseEndpointPath(this.path), {
      ...options,
      blockSize: this.card.kv_cache_block_size || (options.blockSize ?? 0),
      model: this.card.display_name,
      ...(options.record === undefined ? {} : { record: { ...options.record, path: recordPath(options.record.path, this.path) } }),
      ...roleOptions(this.card, options),
    });
    // Whoever asks for a worker hears of it.
    routing.catch(() => undefined);
    return routing;
  }

  /** The router's own choice among the members of this set; it knows itself who is overloaded, pinned or to be left out. */
  #kvPolicy(): RoutePolicy {
    return {
      pick: async (request, candidates, call) => {
        const able = this.#ableTo(request as TokenRequest | WireRequest);
        const isOurs = ({ id }: Instance): boolean => able.has(id);
        const ours = candidates.every(isOurs) ? candidates : candidates.filter(isOurs);
        return ((await this.#routing) as KvRouting).policy.pick(request, ours, call);
      },
    };
  }

  /** The members that can take a request: for an adapter, those that have it loaded. */
  #ableTo(request: TokenRequest | WireRequest): ReadonlyMap<InstanceId, WireCard> {
    const adapter = adapterOf(request, this.adapters);
    if (adapter === undefined) return this.members;
    const able = this.adapters.get(adapter);
    if (able !== undefined && able.size > 0) return able;
    throw new DynamoError('unavailable', `no worker of model '${this.card.display_name}' has the adapter '${adapter}'`, {
      data: { endpoint: this.path, adapter },
    });
  }

  /** A request that is only placed, so that it is placed where its adapter is. */
  #narrowed(request: TokenRequest): TokenRequest {
    const able = this.#ableTo(request);
    if (able === this.members) return request;
    const { allowed_worker_ids: asked } = request.routing ?? {};
    const allowed = Array.isArray(asked) ? asked.filter((id) => able.has(BigInt(id as number | bigint))) : [...able.keys()];
    return { ...request, routing: { ...request.routing, allowed_worker_ids: allowed } };
  }

  /** Keeps to the members of this set, whoever else serves the endpoint, and to those that are not overloaded. */
  #policy(inner: RoutePolicy): RoutePolicy {
    return this.#noting({
      pick: (request, candidates, call) => {
        const { excluded } = call as ShapedCall;
        const able = this.#ableTo(request as TokenRequest | WireRequest);
        const isOurs = ({ id }: Instance): boolean => able.has(id) && excluded?.has(id) !== true;
        const ours = candidates.every(isOurs) ? candidates : candidates.filter(isOurs);
        if (ours.length === 0)
          throw new DynamoError('unavailable', `no worker of model '${this.card.display_name}' can be reached`, { data: { endpoint: this.path } });
        const free = this.#overload === undefined ? ours : ours.filter(({ id }) => !this.isOverloaded(id));
        if (free.length === 0)
          throw new DynamoError('resource_exhausted', `all workers of model '${this.card.display_name}' are over their busy thresholds`);
        return inner.pick(request, free, call);
      },
    });
  }

  /** Notes where each call goes, for those who tell their client. */
  #noting(inner: RoutePolicy): RoutePolicy {
    return {
      pick: async (request, candidates, call) => {
        const { placed, shape } = call as ShapedCall;
        const route = await inner.pick(request, candidates, call);
        const sent = (route.request ?? request) as TokenRequest;
        const dpRank = sent.routing?.['dp_rank'];
        const rank = typeof dpRank === 'number' ? { dpRank } : {};
        const { brief, hitRate, queueDepth } = route as Partial<KvRoute>;
        if (placed !== undefined) {
          const sentAt = performance.now();
          Object.assign(placed, { instance: route.instance, sentAt, ...rank, ...(hitRate === undefined ? {} : { hitRate, queueDepth }) });
          placed.onSent?.();
          if (brief !== undefined && this.#router.routeHeader === true) placed.route = routeHeader(brief);
        }
        return shape === undefined ? route : { ...route, request: shape(sent, { workerId: route.instance, ...rank }) };
      },
    };
  }

  /** The client that answers whole requests: for decode workers, one that has prompts read elsewhere first. */
  #answering(): Client<TokenRequest, unknown> {
    if (this.role !== 'decode' || this.card.needs.length === 0) return this.#client;
    const conditional = this.#router.settings?.conditionalDisagg === true && this.#routing !== undefined;
    return prefillFirst(this.#client, {
      prefill: () => this.#parts.prefillOf(this)?.prefillPool,
      alone: () => this.#parts.needsNoPrefill(this),
      ...(conditional ? { conditional, bypass: (request, call) => this.#bypass(request, call) } : {}),
    });
  }

  /** The decode worker that would take the request, when it has cached so much that the prompt may stay with it (spec kv-router 18.5). */
  async #bypass(request: TokenRequest, call: ShapedCall): Promise<{ worker: InstanceId } | undefined> {
    const routing = await this.#routing;
    if (routing === undefined) return undefined;
    const placed = await routing.place(this.#narrowed(request), call);
    const total = this.members.get(placed.workerId)?.runtime_config['total_kv_blocks'];
    const facts = {
      isl: request.tokenIds.length,
      cachedTokens: placed.cachedTokens,
      prefillBusy: false,
      ...(typeof total === 'number' ? { decode: { blocks: placed.potentialDecodeBlocks, totalBlocks: total } } : {}),
    };
    return bypassesPrefill(routing.options.settings, facts) ? { worker: placed.workerId } : undefined;
  }

  /** Text-input models need no files here: their workers have the tokenizer. */
  async #open(): Promise<AnyModel> {
    const { patience, migration, onMove, onMoved } = this.#parts;
    const raw = patient(this.#client as Client<WireRequest, unknown>, patience);
    const common = { name: this.card.display_name, card: this.card, cardChecksum: this.checksum, raw };
    if (inputOf(this.card.model_input) !== 'tokens' || this.role === 'encode') return { ...common, input: 'text' };
    const files = await this.#parts.files.load(this.card);
    const names = parsersOf(this.card);
    const answering = migrating(patient(this.#answering(), patience), {
      ...migration,
      onMove: (kind) => onMove(this.card.display_name, kind),
      onMoved: (move) => onMoved(this.card.display_name, move),
    });
    const routing = await this.#routing;
    const client =
      routing === undefined ? answering : placementOnly(answering, async (request, call) => routing.place(this.#narrowed(request), call));
    return {
      ...common,
      ...files,
      ...names,
      parsers: modelParsers(names, { tokenizer: files.tokenizer, unknown: (kind, name) => this.#unknownParser(kind, name) }),
      input: 'tokens',
      client,
      choosesRanks: this.#routing !== undefined,
      isOverloaded: (id) => this.isOverloaded(id),
    };
  }

  #unknownParser(kind: 'tool' | 'reasoning', parser: string): void {
    const instead = kind === 'tool' ? 'calls stay in the text' : "'basic' reads its thoughts";
    this.#parts.runtime.log.warn({ model: this.card.display_name, parser }, `a model names an unknown ${kind} parser: ${instead}`);
  }

  async #load(): Promise<void> {
    const { signal } = this.#stop;
    const { log } = this.#parts.runtime;
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        const model = await this.#open();
        await (await this.#routing)?.ready();
        const { minWorkers = 0 } = this.#router;
        if (minWorkers > 0) await this.#client.ready({ min: minWorkers, signal });
        if (signal.aborted) return;
        this.model = model;
        log.info({ model: this.card.display_name, endpoint: this.path }, 'a model is ready');
        this.#parts.onReady(this);
        return;
      } catch (error) {
        const waitMs = retryMs[Math.min(attempt, retryMs.length - 1)] ?? 0;
        log.warn({ model: this.card.display_name, error: String(error), retryMs: waitMs }, "can't load a model's files");
        // Disposal ends the wait; the loop looks at the signal itself.
        await sleep(waitMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }
}

/** A prefill router counts no running blocks; the decode router beside it no caches and no prompts (spec kv-router 18.4). */
function roleOptions(card: WireCard, options: Partial<KvRouterOptions>): Partial<KvRouterOptions> {
  const { settings } = options;
  if (card.worker_type === 'prefill') return { role: 'prefill' };
  if (card.worker_type !== 'decode' || card.needs.length === 0 || settings?.conditionalDisagg === true) return {};
  return { overlapCredit: 0, settings: { ...settings, trackPrefillTokens: false, assumeKvReuse: false } };
}

/** A frontend has a router for each endpoint, and each its recording: the endpoint's name stands before the extension. */
function recordPath(path: string, endpoint: EndpointPath): string {
  const { dir, name, ext } = parse(path);
  return format({ dir, name: `${name}.${endpoint}`, ext });
}
