/** Flags of the real frontend and mocker 1.6.1 that come with a later version: known words, so that nobody takes them for a typing error. */
const laterFlags: ReadonlySet<string> = new Set(
  `--serve-indexer --tcp-tls-cert-path --tcp-tls-key-path --tcp-tls-ca-cert-path
  --tcp-tls-client-cert-path --tcp-tls-client-key-path --tcp-tls-client-ca-cert-path --nats-tls-ca-cert-path
  --nats-tls-insecure --nats-tls-client-cert-path --nats-tls-client-key-path --dump-config-to
  --frontend-route-extension
  --exclude-tools-when-tool-choice-none
  --dyn-chat-processor --dyn-debug-perf --dyn-preprocess-workers --tokenizer --tokenizer-fallback
  --trust-remote-code --enforce-disagg --router-tracking-key-file --router-tracking-key-id --router-prefill-policy
  --router-decode-policy --use-remote-indexer --enable-session-prefix-index --shared-cache-multiplier
  --shared-cache-type --ais-perf-config --ais-backend --aic-backend --ais-system --aic-system --ais-backend-version
  --aic-backend-version --ais-tp-size --aic-tp-size --ais-model-path --aic-model-path --ais-moe-tp-size
  --aic-moe-tp-size --ais-moe-ep-size --aic-moe-ep-size --ais-attention-dp-size --aic-attention-dp-size --ais-nextn
  --aic-nextn --ais-nextn-accept-rates --aic-nextn-accept-rates --ais-mtp-seed --aic-mtp-seed --sglang-schedule-policy
  --sglang-page-size --sglang-max-prefill-tokens --sglang-chunked-prefill-size --sglang-clip-max-new-tokens
  --sglang-schedule-conservativeness --sglang-generate --ais-perf-model --aic-perf-model --gpu-memory-utilization
  --mem-fraction-static --free-gpu-memory-fraction`.split(/\s+/),
);

/** Whether a flag, also in its `--no-` form, comes with a later version. */
export const isLater = (flag: string): boolean => laterFlags.has(flag) || laterFlags.has(flag.replace(/^--no-/, '--'));
