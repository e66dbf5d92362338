import { readMembersOf, type UnreadBody } from './validate/read-struct.ts';
import { struct } from './validate/struct.ts';
import { f64, option, text, u64 } from './validate/type.ts';

/** A request to set or read the busy thresholds of a model, under wire names (spec llm 3.1). */
export interface BusyThresholdRequest {
  model: string;
  active_decode_blocks_threshold?: number | null;
  active_prefill_tokens_threshold?: number | bigint | null;
  active_prefill_tokens_threshold_frac?: number | null;
}

const body = struct('BusyThresholdRequest', {
  model: text,
  active_decode_blocks_threshold: option(f64),
  active_prefill_tokens_threshold: option(u64),
  active_prefill_tokens_threshold_frac: option(f64),
});

/** Reads the body of such a request, or tells what is wrong with it. */
export function readBusyThresholdRequest(text: string): { value: BusyThresholdRequest } | UnreadBody {
  const read = readMembersOf(text, body);
  return 'kind' in read ? read : { value: read.value as unknown as BusyThresholdRequest };
}
