import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { flags } from '../flags.ts';
import { isLater } from '../later-flags.ts';
import { type Given, settle } from '../settings.ts';
import { bundledModel } from '../model-folder.ts';
import { engineConfig, portsOf, roleOf, staggerOf, wordsOf } from './engine-config.ts';

const mocker = (given: Given = {}): ReturnType<typeof settle>['mocker'] => settle('mocker', given, {}).mocker;
/** The flags of the real command, as its help lists them. */
const real = readFileSync(new URL('real-flags.txt', import.meta.url), 'utf8')
  .trim()
  .split('\n');

test.each(real)('the real flag %s is known', (flag) => {
  const positive = flag.replace(/^--no-/, '--') as `--${string}`;
  const known = flags.some((row) => row.flag === positive || row.aliases?.includes(positive));
  expect(known || isLater(flag) || flag === '--help' || flag === '--version').toBe(true);
});

test('flags become the configuration that the real command makes', () => {
  const given = {
    '--block-size': '16',
    '--num-gpu-blocks-override': '64',
    '--enable-prefix-caching': false,
    '--speedup-ratio': '2.5',
    '--data-parallel-size': '2',
    '--disaggregation-mode': 'prefill',
    '--reasoning': '{"start_thinking_token_id":1,"end_thinking_token_id":2,"thinking_ratio":0.5}',
    '--kv-bytes-per-token': '100',
  };
  expect(engineConfig(mocker(given), { model: bundledModel, bootstrapPort: 18_000 })).toMatchObject({
    engine: {
      backend: 'vllm',
      worker_type: 'prefill',
      block_size: 16,
      num_gpu_blocks: 64,
      max_num_seqs: 256,
      enable_prefix_caching: false,
      enable_chunked_prefill: true,
      speedup_ratio: 2.5,
      kv_transfer_bytes_per_token: 100,
    },
    dp_size: 2,
    dynamo: { enable_local_indexer: true, bootstrap_port: 18_000, reasoning: { thinking_ratio: 0.5 } },
  });
});

describe('what can not be', () => {
  test.each([
    [
      { '--is-prefill-worker': true, '--disaggregation-mode': 'decode' },
      'Cannot combine --is-prefill-worker/--is-decode-worker with --disaggregation-mode',
    ],
    [{ '--is-prefill-worker': true, '--is-decode-worker': true }, 'Cannot specify both --is-prefill-worker and --is-decode-worker'],
  ])('%j', (given, message) => expect(() => roleOf(mocker(given))).toThrow(message));

  test('ports', () => {
    expect(portsOf('1,2', '--bootstrap-ports', 2)).toEqual([1, 2]);
    expect(portsOf(undefined, '--bootstrap-ports', 2)).toEqual([]);
    expect(() => portsOf('1', '--bootstrap-ports', 2)).toThrow('--bootstrap-ports must have exactly --num-workers (2) ports, got 1: [1]');
    expect(() => portsOf('x', '--bootstrap-ports', 1)).toThrow("--bootstrap-ports 'x': expected ports with commas between");
  });

  test('pauses', () => {
    expect([1, 33, 129].map((workers) => staggerOf(-1, workers))).toEqual([0, 0.1, 0.2]);
    expect(() => staggerOf(-2, 1)).toThrow('Invalid --stagger-delay value: -2');
  });

  test('JSON', () => {
    expect(() => engineConfig(mocker({ '--reasoning': '{' }), { model: bundledModel })).toThrow('--reasoning: not JSON');
    expect(() => engineConfig(mocker({ '--extra-engine-args': '/nope' }), { model: bundledModel })).toThrow("--extra-engine-args '/nope'");
  });
});

test('older forms of the role', () => expect(roleOf(mocker({ '--is-decode-worker': true }))).toBe('decode'));

test('the bundled vocabulary has words', () => expect(wordsOf(bundledModel).length).toBeGreaterThan(10));
