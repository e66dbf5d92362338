import type { Client, InstanceId } from '@dynamo/runtime';
import type { WireCard } from '../model/wire-card.ts';
import type { TokenRequest } from '@dynamo/kv-router';
import type { ChatTemplate } from '../template/chat-template.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { ModelParsers } from '../parsers/for-request.ts';
import type { surfaceFlags } from '../model/surfaces.ts';
import type { ThresholdStore } from './thresholds.ts';
import type { WireRequest } from './wire-request.ts';

/** A route family that a model card can offer. */
export type Surface = keyof typeof surfaceFlags;

/** What a model's files give: made once for each set of files, however many workers serve it. */
export interface ModelFiles {
  readonly tokenizer: Tokenizer;
  /** Absent for models that offer no chat. */
  readonly template: ChatTemplate | undefined;
  /** End-of-sequence ids in the order of generation_config.json, or of config.json where that has none (spec llm 2.1). */
  readonly eosTokenIds: readonly number[];
  /** How many token ids there are: as many as the tokenizer has, or config.json says where that is more. */
  readonly vocabularySize: number;
  /** The token that stands for an image in a prompt, for models whose files say how images are taken apart: their prompts are routed by their images too. */
  readonly imageTokenId?: number;
  /** Ids of a text with those that the tokenizer puts around it, such as a beginning of text. */
  encodeWhole(text: string): readonly number[] | Promise<readonly number[]>;
  /** Ids of a text: at once for a short one, beside the event loop for a long one. */
  encode(text: string): readonly number[] | Promise<readonly number[]>;
}

/** What all models that are ready to answer have: made once a model and not once a request. */
interface ReadyModel {
  /** Its first name; clients may have asked for an alias. */
  readonly name: string;
  readonly card: WireCard;
  /** The adapter that its requests are for; its workers are those that have it loaded. */
  readonly adapter?: string;
  /** Checksum of the card, sent with every request; for an adapter, that of its base. */
  readonly cardChecksum: string;
  /** Sends requests as they are and yields raw wire values: for routes without a stream of tokens. */
  readonly raw: Client<WireRequest, unknown>;
}

/** A model whose workers get the client's own request: they bring their own tokenizer (spec llm 2.6). */
export interface TextModel extends ReadyModel {
  readonly input: 'text';
}

/** A model whose workers get token ids. */
export interface ServingModel extends ModelFiles, ReadyModel {
  readonly input: 'tokens';
  /** Parsers that the card names; requests are shaped for them. */
  readonly toolParser?: string;
  readonly reasoningParser?: string;
  /** The same, found by their names. */
  readonly parsers: ModelParsers;
  /** Yields raw wire values or chunks that were read straight from the wire: the stage `readChunks` takes both. */
  readonly client: Client<TokenRequest, unknown>;
  /** Whether its router chooses data-parallel ranks itself; without one a rank needs a pinned worker (spec llm 2.1). */
  readonly choosesRanks: boolean;
  /** Whether a worker is over its busy thresholds: a request pinned to it is refused (spec kv-router 10). */
  readonly isOverloaded: (id: InstanceId) => boolean;
}

/** Any model that is ready. */
export type AnyModel = ServingModel | TextModel;

/** One line of `/v1/models`. */
export interface ListedModel {
  readonly id: string;
  /** Unix seconds at which the model appeared. */
  readonly created: number;
  readonly contextLength: number;
}

/** Who serves a model in one namespace, as `/v1/models/{id}/ready` tells it. */
export interface Readiness {
  readonly namespace: string;
  readonly ready: boolean;
  /** Workers by their role, with what they need to be of use. */
  readonly roles: readonly { readonly role: string; readonly workers: number; readonly needs: readonly (readonly string[])[] }[];
  /** Roles that have nobody and are needed. */
  readonly missing: readonly string[];
}

/** The models that the frontend serves now; kept by the model watcher, read by the routes. */
export interface ModelDirectory {
  /** Undefined where nobody has the name on this surface (HTTP 404); `not-ready` while those who have it wait for workers of another role. */
  find(name: string, surface: Surface): AnyModel | 'not-ready' | undefined;
  /** Whether any live model has the surface: without one the route answers 404 with an empty body (spec llm 3.1). */
  has(surface: Surface): boolean;
  list(): readonly ListedModel[];
  /** The first name of a model whose workers' loads are looked at, by any of its names; undefined for others. */
  measured(name: string): string | undefined;
  /** When workers of which models count as overloaded. */
  readonly thresholds: ThresholdStore;
  /** Undefined where nobody has the model. */
  readiness(name: string): readonly Readiness[] | undefined;
}

/** Which instances a call went to, and why, for those who tell their client. */
export interface Placed {
  instance?: InstanceId;
  dpRank?: number;
  /** When it was on its way, by `performance.now()`. */
  sentAt?: number;
  /** Told at that moment. */
  onSent?: () => void;
  /** In mode kv: which part of the prompt the worker is expected to hold, and how many requests waited when it came. */
  hitRate?: number;
  queueDepth?: number;
  /** Text of the response header `x-dynamo-route`; only where it is asked for. */
  route?: string;
  /** Whether a prompt that others were to read stayed with its decode worker. */
  bypassed?: boolean;
  /** The worker that read the prompt, where that was another one. */
  prefill?: { readonly instance: InstanceId; readonly dpRank?: number };
}
