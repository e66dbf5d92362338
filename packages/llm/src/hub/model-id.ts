import { DynamoError } from '@dynamo/runtime';

/** A model on the hub and one of its revisions. */
export interface ModelId {
  /** `owner/name`, or a name alone. */
  readonly repo: string;
  /** Branch, tag or commit. */
  readonly revision: string;
}

const repoPattern = /^[A-Za-z0-9][\w.-]*(\/[A-Za-z0-9][\w.-]*)?$/;

/**
 * Reads `owner/name`, `owner/name@revision` and both behind `hf://`; the revision is `main` by default.
 *
 * @throws DynamoError `not_found` when the text can name no model: it was meant as a path.
 */
export function parseModelId(source: string): ModelId {
  const [repo = '', ...rest] = source.replace(/^hf:\/\//, '').split('@');
  const revision = rest.length === 0 ? 'main' : rest.join('@');
  if (!repoPattern.test(repo) || repo.includes('..') || repo.includes('--') || !isSafePath(revision))
    throw new DynamoError('not_found', `'${source}' is neither a folder here nor the name of a model on a hub`, { data: { source } });
  return { repo, revision };
}

/** Whether a source is meant for the hub: `hf://`, or `owner/name` that is no folder here. */
export const looksLikeModelId = (source: string): boolean =>
  source.startsWith('hf://') || /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*(@.+)?$/.test(source);

/** Whether a name that somebody else chose stays in its folder. */
export const isSafePath = (path: string): boolean =>
  path !== '' && !/[\\\0:]/.test(path) && path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');

/** File types that hold weights: left out unless they are asked for. */
const weights = /\.(safetensors|bin|h5|msgpack|gguf|ggml|pth?|onnx|onnx_data|ot|npz|ckpt|tflite|mlmodel|nemo)$/i;

/** Whether a file holds weights. */
export const isWeights = (path: string): boolean => weights.test(path);

/** What a worker has no use for, as in 1.6.1: folders, hidden files, pictures and the page about the model. */
export const isIgnored = (path: string): boolean =>
  path.includes('/') || path.startsWith('.') || path === 'README.md' || /\.(png|jpe?g|gif|webp|svg)$/i.test(path);
