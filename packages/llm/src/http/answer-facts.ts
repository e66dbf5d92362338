import { encodeJsonText } from '@dynamo/runtime/internal';
import type { Placed } from '../frontend/serving-model.ts';
import type { TextChunk } from '../stages/to-text.ts';

/** What `nvext` adds to an answer when the client asks for it in `nvext.extra_fields` (spec llm 3.3). */
export class AnswerFacts {
  readonly placed: Placed = {};
  readonly #wanted: ReadonlySet<string>;
  readonly #received = Date.now();
  readonly #start = performance.now();
  #firstMs: number | undefined;
  #last: TextChunk['extra'];
  #stopReason: TextChunk['stopReason'];
  readonly #tokenIds: number[] = [];
  /** What a request that only asks for its placement is told. */
  #told: Readonly<Record<string, unknown>> | undefined;

  constructor(wanted: readonly string[]) {
    this.#wanted = new Set(wanted);
  }

  /** False when the client asked for nothing, so that the hot path asks once. */
  get any(): boolean {
    return this.#wanted.size > 0;
  }

  /** Whether the answer is a placement and nothing else. */
  get placementOnly(): boolean {
    return this.#told !== undefined;
  }

  add(chunk: TextChunk): void {
    const routing = chunk.extra?.['routing_data'] as Readonly<Record<string, unknown>> | undefined;
    if (routing?.['token_ids'] !== undefined) this.#told = { worker_id: routing['worker_id'], token_ids: routing['token_ids'] };
    this.#firstMs ??= performance.now() - this.#start;
    if (chunk.extra !== undefined) this.#last = { ...this.#last, ...chunk.extra };
    if (chunk.stopReason !== undefined) this.#stopReason = chunk.stopReason;
    if (this.#wanted.has('completion_token_ids')) this.#tokenIds.push(...chunk.tokenIds);
  }

  /** JSON of the member for a chunk in the middle, or undefined. */
  midway(): string | undefined {
    if (this.#told !== undefined) return encodeJsonText(this.#told);
    return this.#wanted.has('worker_id') ? encodeJsonText({ worker_id: this.#worker() }) : undefined;
  }

  /** JSON of the member for the last chunk or the whole answer, or undefined. */
  whole(): string | undefined {
    if (this.#told !== undefined) return encodeJsonText(this.#told);
    const member: Record<string, unknown> = {};
    if (this.#wanted.has('worker_id')) member['worker_id'] = this.#worker();
    if (this.#tokenIds.length > 0) member['completion_token_ids'] = this.#tokenIds;
    if (this.#wanted.has('timing')) member['timing'] = this.#timing();
    const engineData = this.#last?.['engine_data'];
    if (this.#wanted.has('engine_data') && engineData !== undefined) member['engine_data'] = engineData;
    if (this.#wanted.has('stop_reason') && this.#stopReason !== undefined) member['stop_reason'] = this.#stopReason;
    return Object.keys(member).length === 0 ? undefined : encodeJsonText(member);
  }

  /** Prefill and decode run on the same worker unless prompts are read elsewhere; ranks are told where the router chose them. */
  #worker(): Record<string, unknown> {
    const { instance, dpRank, bypassed, prefill = { instance, dpRank } } = this.placed;
    const decode = { decode_worker_id: instance, ...(dpRank === undefined ? {} : { decode_dp_rank: dpRank }) };
    // A prompt that stayed where it was has been read by nobody else.
    if (bypassed === true) return decode;
    return { prefill_worker_id: prefill.instance, ...(prefill.dpRank === undefined ? {} : { prefill_dp_rank: prefill.dpRank }), ...decode };
  }

  #timing(): Record<string, number> {
    const first = this.#firstMs ?? 0;
    const { sentAt = this.#start, hitRate, queueDepth } = this.placed;
    const waited = Math.min(first, sentAt - this.#start);
    return {
      request_received_ms: this.#received,
      prefill_wait_time_ms: waited,
      prefill_time_ms: first - waited,
      ttft_ms: first,
      total_time_ms: performance.now() - this.#start,
      ...(hitRate === undefined ? {} : { kv_hit_rate: hitRate, router_queue_depth: queueDepth ?? 0 }),
    };
  }
}
