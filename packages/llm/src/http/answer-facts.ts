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

  constructor(wanted: readonly string[]) {
    this.#wanted = new Set(wanted);
  }

  /** False when the client asked for nothing, so that the hot path asks once. */
  get any(): boolean {
    return this.#wanted.size > 0;
  }

  add(chunk: TextChunk): void {
    this.#firstMs ??= performance.now() - this.#start;
    if (chunk.extra !== undefined) this.#last = { ...this.#last, ...chunk.extra };
    if (chunk.stopReason !== undefined) this.#stopReason = chunk.stopReason;
    if (this.#wanted.has('completion_token_ids')) this.#tokenIds.push(...chunk.tokenIds);
  }

  /** JSON of the member for a chunk in the middle, or undefined. */
  midway(): string | undefined {
    return this.#wanted.has('worker_id') ? encodeJsonText({ worker_id: this.#worker() }) : undefined;
  }

  /** JSON of the member for the last chunk or the whole answer, or undefined. */
  whole(): string | undefined {
    const member: Record<string, unknown> = {};
    if (this.#wanted.has('worker_id')) member['worker_id'] = this.#worker();
    if (this.#tokenIds.length > 0) member['completion_token_ids'] = this.#tokenIds;
    if (this.#wanted.has('timing')) member['timing'] = this.#timing();
    const engineData = this.#last?.['engine_data'];
    if (this.#wanted.has('engine_data') && engineData !== undefined) member['engine_data'] = engineData;
    if (this.#wanted.has('stop_reason') && this.#stopReason !== undefined) member['stop_reason'] = this.#stopReason;
    return Object.keys(member).length === 0 ? undefined : encodeJsonText(member);
  }

  /** Prefill and decode run on the same worker unless prompts are read elsewhere. */
  #worker(): Record<string, unknown> {
    return { prefill_worker_id: this.placed.prefill?.instance ?? this.placed.instance, decode_worker_id: this.placed.instance };
  }

  #timing(): Record<string, number> {
    const first = this.#firstMs ?? 0;
    return {
      request_received_ms: this.#received,
      prefill_wait_time_ms: 0,
      prefill_time_ms: first,
      ttft_ms: first,
      total_time_ms: performance.now() - this.#start,
    };
  }
}
