// Logits processors: functions that an engine runs between its model and its sampler.
import assert from 'node:assert/strict';
import { applyLogitsProcessors, forcedSequenceProcessor, temperatureProcessor } from '@dynamo/internal';
import type { LogitsProcessor } from '@dynamo/llm';

/** Never the same token twice. */
const withoutRepeats: LogitsProcessor = (inputIds, logits) => {
  for (const id of inputIds) logits[id] = -Infinity;
};

/** A model that always likes token 2 best, then 1, then 0; the sampler takes the best. */
function generate(processors: readonly LogitsProcessor[], tokens: number): number[] {
  const said: number[] = [];
  while (said.length < tokens) {
    const logits = Float32Array.of(0.1, 0.2, 0.3, 0);
    applyLogitsProcessors(processors, said, logits);
    said.push(logits.indexOf(Math.max(...logits)));
  }
  return said;
}

console.log('as the model likes:', generate([], 3).join(' '));
console.log('without repeats:   ', generate([withoutRepeats, temperatureProcessor(0.7)], 3).join(' '));
console.log('forced:            ', generate([forcedSequenceProcessor([1, 0], 3)], 3).join(' '));
assert.deepEqual(generate([withoutRepeats], 3), [2, 1, 0]);
assert.deepEqual(generate([forcedSequenceProcessor([1, 0], 3)], 3), [1, 0, 3]);
