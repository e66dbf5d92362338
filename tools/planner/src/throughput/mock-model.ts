import type { MockTiming } from '@dynamo/internal';
import type { PassModel } from './model.ts';

/** Mock engines' own times as a model: what is planned with it fits `dynamo mocker` with the same times (spec mocker 2). */
export const mockModel = (timing: MockTiming, options: { readonly kvTokens: number; readonly speedup?: number }): PassModel => ({
  seconds({ prefillTokens, decodeRequests, decodeKvTokens }) {
    const reading = prefillTokens === 0 ? 0 : timing.prefillMs(1, prefillTokens, prefillTokens);
    const context = decodeRequests === 0 ? 0 : decodeKvTokens / decodeRequests;
    const generating = decodeRequests === 0 ? 0 : timing.decodeMs(decodeKvTokens, options.kvTokens, context);
    return (reading + generating) / 1_000 / (options.speedup ?? 1);
  },
});
