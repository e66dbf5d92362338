import type { InstanceId } from '../endpoint/instance.ts';
import type { Route } from './types.ts';

/** How many of a policy's own requests each instance is answering now. Calls that name their instance are not among them. */
export class InFlight {
  readonly #counts = new Map<InstanceId, number>();

  of(id: InstanceId): number {
    return this.#counts.get(id) ?? 0;
  }

  /** A route to an instance that counts from now on until it is done. */
  route(id: InstanceId): Route {
    this.#counts.set(id, this.of(id) + 1);
    let open = true;
    return {
      instance: id,
      done: () => {
        if (!open) return;
        open = false;
        const left = this.of(id) - 1;
        // Instances come and go: only those that are busy take room.
        if (left > 0) this.#counts.set(id, left);
        else this.#counts.delete(id);
      },
    };
  }
}
