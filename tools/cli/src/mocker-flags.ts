import type { CommandName, Flag } from './flags.ts';

const mocker: readonly CommandName[] = ['mocker'];

const row = (flag: `--${string}`, option: string, rest: Omit<Flag, 'commands' | 'flag' | 'option'>): Flag => ({
  ...rest,
  flag,
  option: `mocker.${option}`,
  commands: mocker,
});

const anything = (): boolean => true;

/** How a mock worker behaves: the flags of the real 1.6.1 mocker. What is wrong with a value is told in its words. */
export const mockerFlags: readonly Flag[] = [
  row('--num-gpu-blocks-override', 'blocks', { type: 'count', fallbackText: '16384', help: 'KV blocks of each data-parallel rank.' }),
  row('--block-size', 'blockSize', { type: 'count', fallbackText: 'vllm 64, trtllm 32', help: 'Tokens of one KV block.' }),
  row('--max-model-len', 'maxModelLength', { type: 'count', help: 'Longest sequence, prompt and answer together. No limit by default.' }),
  row('--max-num-seqs', 'maxSequences', { type: 'count', fallback: 256, help: 'Most sequences of one pass.' }),
  row('--max-num-batched-tokens', 'maxBatchedTokens', { type: 'count', fallback: 8192, help: 'Most tokens of one pass.' }),
  row('--enable-prefix-caching', 'prefixCaching', { type: 'switch', fallback: true, help: 'Keeps prompts in the cache for later ones.' }),
  row('--enable-chunked-prefill', 'chunkedPrefill', { type: 'switch', fallback: true, help: 'Reads long prompts over several passes.' }),
  row('--preemption-mode', 'preemption', {
    type: 'text',
    fallback: 'lifo',
    help: 'Which running request makes room: the newest (lifo) or the oldest (fifo).',
  }),
  row('--speedup-ratio', 'speedup', { type: 'number', fallback: 1, help: 'Divides all durations; 0 is no delays at all.' }),
  row('--decode-speedup-ratio', 'decodeSpeedup', { type: 'number', fallback: 1, help: 'Divides those of decode steps once more.' }),
  row('--data-parallel-size', 'ranks', { type: 'count', help: 'Data-parallel ranks of each worker; 1 by default.' }),
  row('--startup-time', 'startupSeconds', { type: 'number', help: 'Pause before a worker registers, in seconds.' }),
  row('--planner-profile-data', 'profilePath', {
    type: 'text',
    help: 'Measured times: an NPZ file, or the folder of a profiler. Built-in curves by default.',
  }),
  row('--num-workers', 'workers', { type: 'count', least: 1, fallback: 1, help: 'Workers in this process.' }),
  row('--stagger-delay', 'staggerSeconds', {
    type: 'number',
    fallback: 0,
    help: 'Pause between the starts of workers, in seconds; -1 chooses by their number.',
  }),
  row('--engine-type', 'backend', { type: 'text', fallback: 'vllm', help: 'Whose scheduling rules apply: vllm or trtllm.' }),
  row('--trtllm-capacity-scheduler-policy', 'trtllmPolicy', { type: 'text', help: 'Of trtllm; guaranteed_no_evict is the only one.' }),
  row('--disaggregation-mode', 'role', {
    type: 'choice',
    choices: ['agg', 'prefill', 'decode'],
    fallbackText: 'agg',
    help: 'Whether workers read prompts, generate, or do both.',
  }),
  row('--is-prefill-worker', 'isPrefill', { type: 'switch', fallback: false, help: 'Older form of --disaggregation-mode prefill.' }),
  row('--is-decode-worker', 'isDecode', { type: 'switch', fallback: false, help: 'Older form of --disaggregation-mode decode.' }),
  row('--reasoning', 'reasoning', {
    type: 'text',
    help: 'Puts part of each answer between marks: a JSON object of start_thinking_token_id, end_thinking_token_id, thinking_ratio.',
  }),
  row('--response-replay-trace-path', 'repliesPath', {
    type: 'text',
    help: 'Trace with output_token_ids, which requests ask for by an annotation output_replay_id:ID.',
  }),
  row('--extra-engine-args', 'configPath', { type: 'text', help: 'File with the whole configuration as JSON; wins over single flags.' }),
  row('--bootstrap-ports', 'bootstrapPorts', { type: 'text', help: 'Ports where prefill workers are met, one a worker, with commas between.' }),
  row('--kv-transfer-bandwidth', 'transferBandwidth', { type: 'number', help: 'How fast KV cache travels, in GB/s.' }),
  row('--kv-transfer-timing-mode', 'transferMode', {
    type: 'text',
    help: 'full_prompt, or destination_missing for what the decode worker does not have.',
  }),
  row('--kv-bytes-per-token', 'bytesPerToken', { type: 'count', help: 'KV cache of one token; from config.json by default.' }),
  row('--kv-cache-dtype', 'cacheType', {
    type: 'choice',
    choices: ['auto', 'bfloat16', 'fp8', 'fp8_ds_mla', 'fp8_e4m3', 'fp8_e5m2', 'fp8_inc'],
    fallback: 'auto',
    help: 'Numbers of the KV cache, which its size follows from.',
  }),
  row('--readable', 'readable', {
    type: 'switch',
    fallback: false,
    help: "Answers with words of the model's vocabulary. The real one has no such flag.",
  }),
  row('--zmq-kv-events-ports', 'eventPorts', { type: 'text', later: anything, help: "Ports for events in the engine's own form, one a worker." }),
  row('--zmq-replay-ports', 'replayPorts', { type: 'text', later: anything, help: 'Ports where such events can be asked for again, one a worker.' }),
  row('--num-host-blocks', 'hostBlocks', { type: 'count', later: anything, help: 'Blocks of a host cache below the GPU.' }),
  row('--host-offload-d2h-bandwidth-gbps', 'hostOut', { type: 'number', later: anything, help: 'Bandwidth to that cache.' }),
  row('--host-offload-h2d-bandwidth-gbps', 'hostIn', { type: 'number', later: anything, help: 'Bandwidth from it.' }),
];
