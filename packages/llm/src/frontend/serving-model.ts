import type { Client, InstanceId } from '@dynamo/runtime';
import type { WireCard } from '../model/wire-card.ts';
import type { TokenRequest } from '@dynamo/kv-router';
import type { ChatTemplate } from '../template/chat-template.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

/** A route family that a model card can offer. */
export type Surface = 'chat' | 'completions';

/** What a model's files give: made once for each set of files, however many workers serve it. */
export interface ModelFiles {
  readonly tokenizer: Tokenizer;
  /** Absent for models that offer no chat. */
  readonly template: ChatTemplate | undefined;
  /** End-of-sequence ids in the order of generation_config.json, or of config.json where that has none (spec llm 2.1). */
  readonly eosTokenIds: readonly number[];
  /** Ids of a text: at once for a short one, beside the event loop for a long one. */
  encode(text: string): readonly number[] | Promise<readonly number[]>;
}

/** A model that is ready to answer: everything that is made once a model and not once a request. */
export interface ServingModel extends ModelFiles {
  /** Its first name; clients may have asked for an alias. */
  readonly name: string;
  readonly card: WireCard;
  /** Checksum of the card, sent with every request. */
  readonly cardChecksum: string;
  /** Parsers that the card names; requests are shaped for them. */
  readonly toolParser?: string;
  readonly reasoningParser?: string;
  /** Yields raw wire values or chunks that were read straight from the wire: the stage `readChunks` takes both. */
  readonly client: Client<TokenRequest, unknown>;
}

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
  find(name: string, surface: Surface): ServingModel | 'not-ready' | undefined;
  /** Whether any live model has the surface: without one the route answers 404 with an empty body (spec llm 3.1). */
  has(surface: Surface): boolean;
  list(): readonly ListedModel[];
  /** Undefined where nobody has the model. */
  readiness(name: string): readonly Readiness[] | undefined;
}

/** Which instances a call went to, and why, for those who tell their client. */
export interface Placed {
  instance?: InstanceId;
  dpRank?: number;
  /** Text of the response header `x-dynamo-route`; only where it is asked for. */
  route?: string;
  /** The worker that read the prompt, where that was another one. */
  prefill?: { readonly instance: InstanceId; readonly dpRank?: number };
}
