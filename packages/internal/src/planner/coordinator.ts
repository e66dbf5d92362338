import { setTimeout as sleep } from 'node:timers/promises';
import { DynamoError } from '@dynamo/runtime';
import { linkSignals } from '@dynamo/runtime/internal';
import { acknowledgedIn, checkCount, type ConnectorHost, type PlannerDecision, plannerRecord, readDecision } from './decision.ts';
import { PlannerValues } from './values.ts';

/** How a planner's end runs; the defaults are those of the real planner (spec planner 1). */
export interface CoordinatorOptions {
  readonly namespace: string;
  /** How long to wait between two looks for an acknowledgement, in milliseconds; default 10 000. */
  readonly checkIntervalMs?: number;
  /** A decision that is not acknowledged holds the next one up for so long, in milliseconds; default 1 800 000. */
  readonly maxWaitMs?: number;
  /** How often to look; by default as often as the interval fits into `maxWaitMs`. */
  readonly maxRetries?: number;
  /** Milliseconds that only go up. */
  readonly clock?: () => number;
}

/** A planner's end of a virtual connector: writes how many workers there should be, and hears when that has been done (spec planner 1). */
export class VirtualConnectorCoordinator implements AsyncDisposable {
  readonly #host: ConnectorHost;
  readonly #options: Required<CoordinatorOptions>;
  readonly #stop = new AbortController();
  #values: ReadonlyMap<string, string> = new Map();
  #state: PlannerDecision;
  /** Since when decisions have been held up, in whole seconds. */
  #heldSince: number | undefined;
  #changed = Promise.withResolvers<void>();
  #watching: Promise<void> = Promise.resolve();
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(host: ConnectorHost, options: Required<CoordinatorOptions>, state: PlannerDecision) {
    this.#host = host;
    this.#options = options;
    this.#state = state;
  }

  /**
   * Reads what there is and keeps watching it.
   *
   * @throws DynamoError `invalid_argument` when a key of the planner holds no number.
   */
  static async open(host: ConnectorHost, options: CoordinatorOptions): Promise<VirtualConnectorCoordinator> {
    const { checkIntervalMs = 10_000, maxWaitMs = 1_800_000 } = options;
    const { maxRetries = Math.floor(maxWaitMs / Math.max(1, checkIntervalMs)), clock = () => performance.now() } = options;
    for (const [name, value] of Object.entries({ checkIntervalMs, maxWaitMs, maxRetries })) checkCount(name, value);
    const source = new PlannerValues(host, options.namespace);
    const values = await source.list();
    const all = { namespace: options.namespace, checkIntervalMs, maxWaitMs, maxRetries, clock };
    const coordinator = new VirtualConnectorCoordinator(host, all, readDecision(values));
    coordinator.#values = values;
    coordinator.#watching = coordinator.#watch(source);
    return coordinator;
  }

  /** The last decision of this coordinator, or what it found at its opening; never what others write. */
  readState(): PlannerDecision {
    return this.#state;
  }

  /**
   * Publishes how many workers there should be; null or absent is no opinion. Returns whether it was published: it is not
   * when nothing is new, nor while the decision before is neither acknowledged nor older than `maxWaitMs`.
   *
   * @throws DynamoError `invalid_argument` for counts that are no whole numbers from 0 on; nothing is written then.
   */
  updateScalingDecision(counts: { readonly prefill?: number | null; readonly decode?: number | null }): Promise<boolean> {
    const update = this.#turn.then(() => this.#update(counts.prefill ?? null, counts.decode ?? null));
    this.#turn = update.catch(() => {});
    return update;
  }

  /** Whether the last decision has been acknowledged, or there is none. */
  isScalingReady(): boolean {
    const { id } = this.#state;
    return id === null || (acknowledgedIn(this.#values) ?? -1) >= id;
  }

  /** Waits for the acknowledgement of the last decision. After all retries it says so in the log and returns. */
  async waitForScalingCompletion(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    using linked = linkSignals(options.signal, this.#stop.signal, this.#host.signal);
    const { signal } = linked;
    const { checkIntervalMs, maxRetries } = this.#options;
    for (let round = 0; round < maxRetries; round++) {
      if (signal.aborted) throw cancelled('VirtualConnectorCoordinator', options.signal);
      if (this.isScalingReady()) return;
      await this.#look(checkIntervalMs, signal);
    }
    if (!this.isScalingReady())
      this.#host.log?.warn({ decision: this.#state.id, rounds: maxRetries }, 'nobody has acknowledged the scaling decision in time');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#watching;
  }

  async #update(prefill: number | null, decode: number | null): Promise<boolean> {
    checkCount('prefill', prefill);
    checkCount('decode', decode);
    const before = this.#state;
    const same = (prefill ?? before.prefill) === before.prefill && (decode ?? before.decode) === before.decode;
    if (same || this.#isHeld()) return false;
    this.#heldSince = undefined;
    const { namespace } = this.#options;
    const { discovery } = this.#host;
    const id = before.id === null ? 0 : before.id + 1;
    if (prefill !== null) await discovery.set(plannerRecord(namespace, 'num_prefill_workers', prefill));
    if (decode !== null) await discovery.set(plannerRecord(namespace, 'num_decode_workers', decode));
    // Last, so that whoever sees the number sees what it is of.
    await discovery.set(plannerRecord(namespace, 'decision_id', id));
    this.#state = { prefill: prefill ?? before.prefill, decode: decode ?? before.decode, id };
    return true;
  }

  /** Whether the decision before still holds the next one up. */
  #isHeld(): boolean {
    if (this.isScalingReady()) return false;
    const now = Math.floor(this.#options.clock() / 1_000);
    this.#heldSince ??= now;
    if (now - this.#heldSince >= this.#options.maxWaitMs / 1_000) return false;
    this.#host.log?.info({ decision: this.#state.id }, 'the decision before is not done yet: a new one is skipped');
    return true;
  }

  /** Waits for one interval, or until the decision has been acknowledged. */
  async #look(ms: number, signal: AbortSignal): Promise<void> {
    const done = new AbortController();
    using linked = linkSignals(signal, done.signal);
    const timer = sleep(ms, undefined, { signal: linked.signal }).catch(() => {});
    const seen = (async () => {
      while (!linked.signal.aborted && !this.isScalingReady()) await Promise.race([this.#changed.promise, timer]);
    })();
    await Promise.race([timer, seen]);
    done.abort();
    await timer;
    await seen;
  }

  async #watch(source: PlannerValues): Promise<void> {
    using linked = linkSignals(this.#stop.signal, this.#host.signal);
    try {
      for await (const values of source.watch(linked.signal)) {
        this.#values = values;
        this.#changed.resolve();
        this.#changed = Promise.withResolvers();
      }
    } catch (error) {
      this.#host.log?.error({ error: String(error) }, "lost sight of a planner's keys");
    }
  }
}

/** Why a wait has ended without what it waited for. */
export const cancelled = (who: string, signal: AbortSignal | undefined): DynamoError =>
  signal?.aborted === true
    ? new DynamoError('cancelled', `${who}: the wait was cancelled`, { cause: signal.reason })
    : new DynamoError('cancelled', `${who}.wait: Runtime shutdown`);
