import { readFileSync } from 'node:fs';
import { DynamoError } from '@dynamo/runtime';
import { encodeJsonText, Float, JsonReader } from '@dynamo/runtime/internal';
import type { TokenRequest } from '@dynamo/kv-router';
import { encodeTokenRequest } from '@dynamo/kv-router/internal';
import { parseChatRequest } from '../chat.ts';
import { parseCompletionRequest } from '../completions.ts';
import { type RequestModel, engineRequest } from '../engine-request.ts';

/** Reads JSON with the kind of every number, so that `1` and `1.0` can be told apart. */
export const readExact = (url: URL): unknown => new JsonReader(readFileSync(url, 'utf8')).value();

/** A body as the capturing client wrote it: Python's spacing, everything beyond ASCII escaped. Columns depend on it. */
export function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`;
  if (typeof value === 'object' && value !== null && !(value instanceof Float)) {
    return `{${Object.entries(value)
      .map(([name, member]) => `${pythonJson(name)}: ${pythonJson(member)}`)
      .join(', ')}}`;
  }
  return encodeJsonText(value).replace(/[^\0-\x7f]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** The models that the captures were made with; `r-NAME` has the reasoning parser NAME. */
export function modelOf(name: string): RequestModel {
  const model = { name: name === 'tok-alias' ? 'tok' : name, eosTokenIds: [258, 256], cardChecksum: '<mdcsum>' };
  if (name === 'both') return { ...model, toolParser: 'hermes', reasoningParser: 'qwen3' };
  return name.startsWith('r-') ? { ...model, reasoningParser: name.slice(2) } : model;
}

/** What a route answers to a body, as far as it depends on the body alone. */
export type Outcome = { readonly status: number; readonly message: string } | { readonly request: Omit<TokenRequest, 'tokenIds'> };

const statuses: Readonly<Record<string, number>> = { invalid_argument: 400, not_implemented: 501 };

/** Takes a body through parsing and translation. */
export function outcomeOf(kind: 'chat' | 'comp', body: string): Outcome {
  try {
    const request = kind === 'chat' ? parseChatRequest(body) : parseCompletionRequest(body);
    return { request: engineRequest(request, modelOf(request.model)) };
  } catch (error) {
    if (!DynamoError.is(error)) throw error;
    return { status: statuses[error.code] ?? 0, message: (error.data['public'] as { message: string }).message };
  }
}

/** Unsupported names come in any order. */
export const inOrder = (message: string): string =>
  message.replace(/(?<=^Validation: Unsupported parameter\(s\): ).*/s, (names) => names.split(', ').toSorted().join(', '));

/** A wire value as text in which names are sorted and floats look like floats. */
export const wireText = (value: unknown): string => encodeJsonText(sorted(JSON.parse(encodeJsonText(value), keepFloats)));

const keepFloats = (_name: string, value: unknown, context?: { source?: string }): unknown =>
  typeof value === 'number' && context?.source !== undefined ? (/[.eE]/.test(context.source) ? new Float(value) : BigInt(context.source)) : value;

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null || value instanceof Float) return value;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, member]) => [name, sorted(member)]));
}

/** The wire request of an outcome, with given token ids. */
export const wireOf = (request: Omit<TokenRequest, 'tokenIds'>, tokenIds: readonly number[]): Record<string, unknown> =>
  encodeTokenRequest({ ...request, tokenIds }) as Record<string, unknown>;
