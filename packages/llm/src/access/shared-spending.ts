import type { Siblings } from '../frontend/siblings.ts';
import type { ApiKeys } from './api-keys.ts';

/** How long what was spent is gathered before the other processes hear of it, in milliseconds. */
const gatherMs = 100;

type Kind = 'requests' | 'tokens';

/** Makes the limits of keys hold over all processes of a frontend: each tells the others what was spent, and takes what they tell from its own buckets. */
export class SharedSpending implements Disposable {
  readonly #siblings: Siblings;
  readonly #gathered = new Map<string, [id: string, kind: Kind, amount: number]>();
  readonly #listening: Disposable;
  #timer: NodeJS.Timeout | undefined;

  constructor(keys: ApiKeys, siblings: Siblings) {
    this.#siblings = siblings;
    keys.onSpent = (id, kind, amount) => this.#spent(id, kind, amount);
    this.#listening = siblings.onMessage((message) => {
      if (message.type === 'spent') for (const [id, kind, amount] of message.amounts) keys.take(id, kind, amount);
    });
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#listening[Symbol.dispose]();
  }

  #spent(id: string, kind: Kind, amount: number): void {
    const key = `${kind} ${id}`;
    const present = this.#gathered.get(key);
    if (present === undefined) this.#gathered.set(key, [id, kind, amount]);
    else present[2] += amount;
    this.#timer ??= setTimeout(() => this.#tell(), gatherMs).unref();
  }

  #tell(): void {
    this.#timer = undefined;
    const amounts = [...this.#gathered.values()].filter(([, , amount]) => amount !== 0);
    this.#gathered.clear();
    if (amounts.length > 0) this.#siblings.send({ type: 'spent', amounts });
  }
}
