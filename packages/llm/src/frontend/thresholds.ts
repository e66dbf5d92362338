import type { BusyThresholds } from '@dynamo/kv-router';

/**
 * When workers count as overloaded, by the first name of their model; those that an operator sets stay while the frontend
 * runs, also for worker sets that come later (spec llm 3.1, kv-router 10).
 */
export class ThresholdStore {
  readonly #initial: BusyThresholds;
  readonly #set = new Map<string, BusyThresholds>();
  readonly #changed: (model: string, thresholds: BusyThresholds) => void;

  /** `changed` is told of each change, with all thresholds of the model. */
  constructor(initial: BusyThresholds, changed: (model: string, thresholds: BusyThresholds) => void) {
    this.#initial = initial;
    this.#changed = changed;
  }

  of(model: string): BusyThresholds {
    return this.#set.get(model) ?? this.#initial;
  }

  /** Changes thresholds; what is absent keeps its value. */
  set(model: string, changes: BusyThresholds): void {
    const thresholds = { ...this.of(model), ...changes };
    this.#set.set(model, thresholds);
    this.#changed(model, thresholds);
  }
}
