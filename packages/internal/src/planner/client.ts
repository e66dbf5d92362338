import { DynamoError } from '@dynamo/runtime';
import { linkSignals } from '@dynamo/runtime/internal';
import { cancelled } from './coordinator.ts';
import { acknowledgedIn, type ConnectorHost, type PlannerDecision, plannerRecord, readDecision } from './decision.ts';
import { PlannerValues } from './values.ts';

/** A deployment's end of a virtual connector: hears how many workers there should be, and says when that has been done (spec planner 1). */
export class VirtualConnectorClient {
  readonly #host: ConnectorHost;
  readonly #namespace: string;
  readonly #values: PlannerValues;

  constructor(host: ConnectorHost, options: { readonly namespace: string }) {
    this.#host = host;
    this.#namespace = options.namespace;
    this.#values = new PlannerValues(host, options.namespace);
  }

  /**
   * The decision that stands.
   *
   * @throws DynamoError `invalid_argument` when a key of the planner holds no number.
   */
  async get(): Promise<PlannerDecision> {
    return readDecision(await this.#values.list());
  }

  /**
   * Says that a decision has been carried out.
   *
   * @throws DynamoError `invalid_argument` when a later decision has been acknowledged already; that acknowledgement stands.
   */
  async complete(decision: PlannerDecision): Promise<void> {
    const id = decision.id ?? -1;
    const acknowledged = acknowledgedIn(await this.#values.list());
    if (acknowledged !== undefined && acknowledged > id)
      throw new DynamoError('invalid_argument', `the acknowledgement of decision ${id} is stale: ${acknowledged} has been acknowledged`, {
        data: { decision: id, acknowledged },
      });
    await this.#host.discovery.set(plannerRecord(this.#namespace, 'scaled_decision_id', id));
  }

  /**
   * Waits for a decision that has not been acknowledged; `get` tells which.
   *
   * @throws DynamoError `invalid_argument` when its number is none, `cancelled` when the signal aborts or the runtime shuts down.
   */
  async wait(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    using linked = linkSignals(options.signal, this.#host.signal);
    if (!linked.signal.aborted)
      for await (const values of this.#values.watch(linked.signal)) {
        const { id } = readDecision(new Map([...values].filter(([name]) => name === 'decision_id')));
        if (id !== null && (acknowledgedIn(values) ?? -1) < id) return;
      }
    throw cancelled('VirtualConnectorClient', options.signal);
  }
}
