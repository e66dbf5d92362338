import { stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { DynamoError } from '@dynamo/runtime';
import type { Upstream } from './upstream.ts';
import { protocolError, statusError } from './upstream-error.ts';
import { cacheFacts, type CacheFacts, type ListedUpstreamModel, listedModels } from './wire/facts.ts';

/** What an upstream says of itself. */
export interface UpstreamFacts {
  readonly model: ListedUpstreamModel;
  /** All undefined where it does not say. */
  readonly cache: CacheFacts;
  /** Folder of its model, where it names one that is on this machine and has what a card needs. */
  readonly folder: string | undefined;
}

/** How an upstream is. `busy` is one that is there and does not answer well. */
export type Health = 'well' | 'busy' | 'gone';

/** Longest wait for one answer about itself, in milliseconds. */
const askMs = 5_000;

/**
 * Asks an upstream what it serves.
 *
 * @throws DynamoError `backend_protocol` for an answer that lists no models, and what `Upstream` throws.
 */
export async function askFacts(upstream: Upstream, signal: AbortSignal): Promise<UpstreamFacts> {
  const { status, text } = await upstream.get('/v1/models', { idleMs: askMs, signal });
  if (status !== 200) throw statusError(upstream.url, status, text);
  const models = listedModels(text);
  if (models === undefined)
    throw protocolError(upstream.url, `answered /v1/models with something else than a list of models: ${text.trim().slice(0, 60)}`);
  const [model] = models;
  if (model === undefined) throw protocolError(upstream.url, 'lists no models');
  return { model, cache: await askCache(upstream, signal), folder: await folderOf(model.root) };
}

/** What its metrics tell of its cache; all undefined where there are none. */
export async function askCache(upstream: Upstream, signal: AbortSignal): Promise<CacheFacts> {
  try {
    const { status, text } = await upstream.get('/metrics', { idleMs: askMs, signal });
    return cacheFacts(status === 200 ? text : '');
  } catch {
    // Metrics are a gift: whether the upstream is well is asked elsewhere.
    return cacheFacts('');
  }
}

/** Asks `/health`, or lists the models of a server without it. */
export async function askHealth(upstream: Upstream, signal: AbortSignal): Promise<Health> {
  try {
    const { status } = await upstream.get('/health', { idleMs: askMs, signal });
    if (status !== 404 && status !== 405) return status < 300 ? 'well' : 'busy';
    const listed = await upstream.get('/v1/models', { idleMs: askMs, signal });
    return listed.status === 200 && listedModels(listed.text) !== undefined ? 'well' : 'busy';
  } catch (error) {
    return DynamoError.is(error, 'engine_shutdown') ? 'gone' : 'busy';
  }
}

async function folderOf(root: string | undefined): Promise<string | undefined> {
  if (root === undefined || !isAbsolute(root)) return undefined;
  const files = await Promise.all(['config.json', 'tokenizer.json'].map((name) => stat(join(root, name)).catch(() => undefined)));
  return files.every((file) => file?.isFile() === true) ? root : undefined;
}
