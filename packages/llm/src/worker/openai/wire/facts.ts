import { countAt, objectOf, textAt } from './members.ts';

/** A model as `GET /v1/models` lists it. */
export interface ListedUpstreamModel {
  readonly id: string;
  /** Folder or name that it was loaded from (vLLM). */
  readonly root: string | undefined;
  readonly contextLength: number | undefined;
}

/** Reads a list of models; undefined when it is none. LoRA adapters, which name a parent, are left out. */
export function listedModels(body: string): readonly ListedUpstreamModel[] | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return undefined;
  }
  const { data } = objectOf(parsed) ?? {};
  if (!Array.isArray(data)) return undefined;
  return data.flatMap((entry) => {
    const wire = objectOf(entry);
    const id = textAt(wire, 'id');
    if (id === undefined || textAt(wire, 'parent') !== undefined) return [];
    const contextLength = countAt(wire, 'max_model_len') ?? countAt(objectOf(wire?.['meta']), 'n_ctx_train');
    return [{ id, root: textAt(wire, 'root'), contextLength }];
  });
}

/** What the metrics of an engine tell of its cache. */
export interface CacheFacts {
  readonly blockSize: number | undefined;
  readonly blocks: number | undefined;
  /** Used part, 0 … 1. */
  readonly used: number | undefined;
}

/** Reads vLLM's own metrics; all undefined for other servers. */
export function cacheFacts(metrics: string): CacheFacts {
  const info = /^vllm:cache_config_info\{(.*)\}/m.exec(metrics)?.[1] ?? '';
  const label = (name: string): number | undefined => {
    const text = new RegExp(`(?:^|,)${name}="(\\d+)"`).exec(info)?.[1];
    return text === undefined ? undefined : Number(text);
  };
  const used = /^vllm:(?:kv_cache_usage_perc|gpu_cache_usage_perc)\{[^}]*\} ([\d.e+-]+)$/m.exec(metrics)?.[1];
  const part = Number(used);
  return { blockSize: label('block_size'), blocks: label('num_gpu_blocks'), used: used !== undefined && part >= 0 && part <= 1 ? part : undefined };
}
