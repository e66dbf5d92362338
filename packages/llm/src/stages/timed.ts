import type { Stage } from '@dynamo/runtime/internal';

/** Tells what a stage takes for each batch, in milliseconds and tokens. */
export const timed =
  <I extends { readonly tokenIds: readonly number[] }, O>(stage: Stage<I, O>, spent: (ms: number, tokens: number) => void): Stage<I, O> =>
  () => {
    const run = stage();
    return {
      push(batch) {
        const began = performance.now();
        const result = run.push(batch);
        let tokens = 0;
        for (const { tokenIds } of batch) tokens += tokenIds.length;
        spent(performance.now() - began, tokens);
        return result;
      },
      end: () => run.end?.() ?? [],
      get done() {
        return run.done === true;
      },
    };
  };
