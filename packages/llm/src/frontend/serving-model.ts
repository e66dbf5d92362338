import type { Client } from '@dynamo/runtime';
import type { ModelDeploymentCard } from '../model/card.ts';
import type { TokenChunk, TokenRequest } from '../request.ts';
import type { ChatTemplate } from '../template/chat-template.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

/** A model that is ready to answer: everything that is made once a model and not once a request. */
export interface ServingModel {
  /** The name that clients ask for. */
  readonly name: string;
  /** Unix seconds at which the model appeared. */
  readonly created: number;
  readonly card: ModelDeploymentCard;
  /** Checksum of the card, sent with every request. */
  readonly cardChecksum: string;
  readonly tokenizer: Tokenizer;
  /** Absent for models without a chat surface. */
  readonly template?: ChatTemplate;
  /** End-of-sequence ids in the order of generation_config.json, or of config.json where that has none. */
  readonly eosTokenIds: readonly number[];
  readonly client: Client<TokenRequest, TokenChunk>;
}

/** How one model name looks to a route at this moment. */
export type ModelLookup =
  | { readonly state: 'ready'; readonly model: ServingModel }
  /** Known by discovery but without a usable worker right now: HTTP 503. */
  | { readonly state: 'not-ready'; readonly name: string }
  /** Nobody has it on this surface: HTTP 404. */
  | { readonly state: 'unknown' };

/** The text surfaces of this frontend. */
export type Surface = 'chat' | 'completions';

/** One line of `/v1/models`. */
export interface ListedModel {
  readonly id: string;
  readonly created: number;
  readonly contextLength: number;
}

/** The models that the frontend serves now; kept by the model watcher, read by the routes. */
export interface ModelDirectory {
  find(name: string, surface: Surface): ModelLookup;
  /** Whether any live model has the surface: without one the route answers 404 with an empty body (spec llm 3.1). */
  has(surface: Surface): boolean;
  list(): readonly ListedModel[];
}
