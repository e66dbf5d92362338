import type { DiscoveryRecord } from '@dynamo/runtime/internal';
import { type ConnectorHost, plannerPath } from './decision.ts';

const known = new Set(['num_prefill_workers', 'num_decode_workers', 'decision_id', 'scaled_decision_id']);

/** The planner's keys of one namespace, by their last segments. */
export class PlannerValues {
  readonly #host: ConnectorHost;
  readonly #prefix: string;

  constructor(host: ConnectorHost, namespace: string) {
    this.#host = host;
    this.#prefix = plannerPath(namespace);
  }

  /** One look; keys that are none of a planner's are named in the log. */
  async list(): Promise<ReadonlyMap<string, string>> {
    const records = await this.#host.discovery.list({ bucket: 'values', prefix: this.#prefix });
    const values = new Map(records.map((record) => [this.#nameOf(record), record.value]));
    for (const name of values.keys()) if (!known.has(name)) this.#host.log?.warn({ key: `${this.#prefix}/${name}` }, 'unexpected key of a planner');
    return values;
  }

  /** All values now and after each change, in one map that changes, until the signal aborts. */
  async *watch(signal: AbortSignal): AsyncGenerator<ReadonlyMap<string, string>> {
    const values = new Map<string, string>();
    for await (const change of this.#host.discovery.watch({ bucket: 'values', prefix: this.#prefix }, { signal })) {
      if (change.type === 'snapshot') for (const record of change.records) values.set(this.#nameOf(record), record.value);
      else if (change.type === 'put') values.set(this.#nameOf(change.record), change.record.value);
      else values.delete(this.#nameOf(change));
      yield values;
    }
  }

  #nameOf({ key }: Pick<DiscoveryRecord, 'key'>): string {
    return key.slice(this.#prefix.length + 1);
  }
}
