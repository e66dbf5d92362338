import type { ForwardPass } from './pass.ts';
import type { Scheduler } from './scheduler.ts';

/** Count, sum and spread of what is added, in one go. */
class Spread {
  count = 0;
  sum = 0;
  #mean = 0;
  #square = 0;

  add(value: number): void {
    this.count++;
    this.sum += value;
    const distance = value - this.#mean;
    this.#mean += distance / this.count;
    this.#square += distance * (value - this.#mean);
  }

  /** Population variance. */
  get variance(): number {
    return this.count === 0 ? 0 : this.#square / this.count;
  }
}

/** Counts the requests of the pass that was planned last, before any of them gets its token, and those that wait (spec mocker 5). */
export function forwardPassOf({ running, waiting, pass }: Pick<Scheduler, 'running' | 'waiting' | 'pass'>): ForwardPass {
  const prefill = new Spread();
  const decode = new Spread();
  const queuedPrefill = new Spread();
  const queuedDecode = new Spread();
  let prefillTokens = 0;
  let prefillKvTokens = 0;
  for (const sequence of running) {
    if (sequence.pass !== pass) continue;
    if (sequence.passPromptTokens > 0) {
      prefill.add(sequence.promptTokens);
      prefillTokens += sequence.passTokens;
      prefillKvTokens += sequence.passPrefix;
    } else decode.add(sequence.length);
  }
  for (const sequence of waiting) {
    if (sequence.preemptions === 0) queuedPrefill.add(sequence.promptTokens);
    else queuedDecode.add(sequence.length);
  }
  return {
    scheduledPrefills: prefill.count,
    scheduledPrefillTokens: prefillTokens,
    scheduledPrefillVariance: prefill.variance,
    scheduledPrefillKvTokens: prefillKvTokens,
    scheduledDecodes: decode.count,
    scheduledDecodeKvTokens: decode.sum,
    scheduledDecodeVariance: decode.variance,
    queuedPrefills: queuedPrefill.count,
    queuedPrefillTokens: queuedPrefill.sum,
    queuedPrefillVariance: queuedPrefill.variance,
    queuedDecodes: queuedDecode.count,
    queuedDecodeKvTokens: queuedDecode.sum,
    queuedDecodeVariance: queuedDecode.variance,
  };
}
