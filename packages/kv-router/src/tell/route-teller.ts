import type { CallOptions, DistributedRuntime, Logger } from '@dynamo/runtime';
import { type Span, speakingFor, tracerOf, type Tracer } from '@dynamo/runtime/internal';
import type { RouteBrief, RouteReceipt } from '../select/receipt.ts';
import type { Placed } from '../select/scheduler.ts';

/** Who speaks of routes in log lines: filters may choose by it. */
const target = 'dynamo_kv_router::route';

/** The decision of one request, from its arrival to its placement. */
export interface RouteTale extends Disposable {
  placed(id: string, placed: Placed): void;
}

/** Tells of each decision: to a hook, in a log line, in a span. Where nobody listens, nothing is made. */
export class RouteTeller {
  /** What must be written down of each decision; undefined where nobody listens. */
  readonly depth: 'brief' | 'receipt' | undefined;
  readonly #hook: ((receipt: RouteReceipt) => void) | undefined;
  readonly #log: Logger | undefined;
  readonly #tracer: Tracer | undefined;

  constructor(runtime: DistributedRuntime, options: { onRoute?: ((receipt: RouteReceipt) => void) | undefined; brief?: boolean | undefined }) {
    this.#hook = options.onRoute;
    const log = speakingFor(runtime.log, target);
    this.#log = log.isLevelEnabled?.('debug') === true ? log : undefined;
    this.#tracer = tracerOf(runtime);
    const listens = options.brief === true || this.#log !== undefined || this.#tracer !== undefined;
    this.depth = this.#hook !== undefined ? 'receipt' : listens ? 'brief' : undefined;
  }

  /** Begins a tale; undefined where nobody listens. Disposing ends its span: as one that failed, unless it was placed. */
  begin(call: CallOptions): RouteTale | undefined {
    if (this.depth === undefined) return undefined;
    const parent = call.headers?.['traceparent'] ?? call.context?.traceparent;
    const span = this.#tracer?.start('kv_router.route', { kind: 'internal', parent });
    let done = false;
    return {
      placed: (id, placed) => {
        done = true;
        this.#tell(id, placed, span);
      },
      [Symbol.dispose]: () => {
        if (!done) span?.fail('not_placed');
        span?.end();
      },
    };
  }

  #tell(id: string, { brief, receipt }: Placed, span: Span | undefined): void {
    if (brief === undefined) return;
    const facts = factsOf(id, brief);
    if (span !== undefined) for (const [name, value] of Object.entries(facts)) span.set(name, value);
    this.#log?.debug(facts, 'a request is routed');
    if (receipt === undefined || this.#hook === undefined) return;
    try {
      this.#hook(receipt);
    } catch (error) {
      this.#log?.error({ error: String(error) }, 'a listener to routes has failed');
    }
  }
}

const factsOf = (id: string, brief: RouteBrief): Record<string, string | number> => ({
  request_id: id,
  worker_id: String(brief.workerId),
  dp_rank: brief.dpRank,
  overlap_blocks: brief.overlap,
  prompt_blocks: brief.blocks,
  cost: brief.cost,
  why: brief.why,
  candidates: brief.candidates,
  ties: brief.ties,
  ...(brief.events === undefined ? {} : { events: brief.events.state, level: brief.events.level }),
});
