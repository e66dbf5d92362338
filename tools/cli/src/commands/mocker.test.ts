import { expect, test } from 'vitest';
import { dynamo } from '../testing/command.ts';

test.each([
  [['--extra-engine-args', '/nope'], "--extra-engine-args '/nope'"],
  [['--num-gpu-blocks-override', '0'], 'num_gpu_blocks must be positive'],
  [['--block-size', '1'], 'vLLM/TRT-LLM block_size must be at least two'],
  [['--engine-type', 'sglang'], 'backend "sglang" is not simulated by this version'],
  [['--preemption-mode', 'x'], 'engine.preemption_mode: unknown variant `x`, expected `lifo` or `fifo`'],
  [['--zmq-kv-events-ports', '5557'], '--zmq-kv-events-ports'],
  [['--sglang-page-size', '4'], '--sglang-page-size is not available in this version'],
])('%j ends in one line and exit code 2', async (args, message) => {
  const { code, stdout, stderr } = await dynamo(['mocker', ...args]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(message);
  expect(stderr.trimEnd()).not.toContain('\n');
});
