import type { IncomingHttpHeaders } from 'node:http';
import type { NvExt } from '../openai/nvext.ts';

/** Headers that stand for members of `nvext`, the one that wins first (observed in 1.6.1). */
const instanceHeaders = {
  worker: ['x-dynamo-worker-instance-id', 'x-worker-instance-id'],
  prefill: ['x-dynamo-prefill-instance-id', 'x-prefill-instance-id'],
} as const;
const rankHeaders = {
  dp_rank: ['x-dynamo-dp-rank', 'x-dp-rank', 'x-data-parallel-rank'],
  prefill_dp_rank: ['x-dynamo-prefill-dp-rank', 'x-prefill-dp-rank'],
} as const;

/** A request's `nvext` with the routing that its headers ask for; a header that is no number is passed over. */
export function withRoutingHeaders<T extends { nvext?: NvExt | null }>(request: T, headers: IncomingHttpHeaders): T {
  const worker = numberIn(headers, instanceHeaders.worker, 64n);
  const prefill = numberIn(headers, instanceHeaders.prefill, 64n);
  const rank = numberIn(headers, rankHeaders.dp_rank, 32n);
  const prefillRank = numberIn(headers, rankHeaders.prefill_dp_rank, 32n);
  if (worker === undefined && prefill === undefined && rank === undefined && prefillRank === undefined) return request;
  const nvext: NvExt = {
    ...request.nvext,
    ...(worker === undefined ? {} : { backend_instance_id: worker, decode_worker_id: worker }),
    ...(prefill === undefined ? {} : { prefill_worker_id: prefill }),
    ...(rank === undefined ? {} : { dp_rank: Number(rank) }),
    ...(prefillRank === undefined ? {} : { prefill_dp_rank: Number(prefillRank) }),
  };
  return { ...request, nvext };
}

/** The first header of the list that is there; undefined where it is no number of so many bits. */
function numberIn(headers: IncomingHttpHeaders, names: readonly string[], bits: bigint): bigint | undefined {
  for (const name of names) {
    const text = headers[name];
    if (text === undefined) continue;
    const digits = String(text).trim();
    if (!/^\+?\d{1,20}$/.test(digits)) return undefined;
    const value = BigInt(digits.replace('+', ''));
    return value < 1n << bits ? value : undefined;
  }
  return undefined;
}
