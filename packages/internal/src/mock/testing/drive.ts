import { Core, PromptHasher } from '@dynamo/kv-router/internal';
import { MockEngine } from '../mock-engine.ts';
import type { MockEngineOptions } from '../options.ts';
import type { MockSequence } from '../sequence.ts';

/** A request of a trace: when it comes, how long it is, and the ids of its trace blocks. */
export interface TracedRequest {
  readonly at: number;
  readonly input: number;
  readonly output: number;
  readonly ids: readonly number[];
}

/** What became of a request, in the order of the captured columns. */
export interface Outcome {
  readonly request: TracedRequest;
  readonly admissions: (readonly [atMs: number, cachedTokens: number])[];
  readonly tokens: number[];
  endMs: number | undefined;
  status: 'completed' | 'rejected' | 'open';
}

const hasher = new PromptHasher(new Core());

/** The tokens of a request: each id repeated over its trace block. */
function tokensOf(request: TracedRequest, traceBlock: number): Uint32Array {
  const tokens = new Uint32Array(request.ids.length * traceBlock);
  request.ids.forEach((id, index) => tokens.fill(id, index * traceBlock, (index + 1) * traceBlock));
  return tokens.subarray(0, request.input);
}

/** Runs requests on one engine, from the first to the last, on a clock of its own. Throws when the engine can go no further. */
function drive(engine: MockEngine, requests: readonly TracedRequest[], traceBlock: number): Outcome[] {
  const outcomes: Outcome[] = [];
  const outcomeOf = (sequence: MockSequence): Outcome => sequence.data as Outcome;
  let next = 0;
  let now = 0;
  while (next < requests.length || !engine.idle) {
    if (engine.idle) now = Math.max(now, requests[next]?.at ?? 0);
    for (; next < requests.length && (requests[next]?.at ?? 0) <= now; next++) {
      const request = requests[next] as TracedRequest;
      const { sequence } = hasher.hashes(tokensOf(request, traceBlock), { blockSize: engine.settings.blockSize });
      const submitted = engine.submit({ id: String(next), promptTokens: request.input, sequence, maxOutputTokens: request.output });
      const outcome: Outcome = { request, admissions: [], tokens: [], endMs: undefined, status: 'open' };
      submitted.data = outcome;
      outcomes.push(outcome);
    }
    const pass = engine.step(now);
    for (const { sequence, cachedTokens } of pass.admissions) outcomeOf(sequence).admissions.push([now, cachedTokens]);
    for (const sequence of pass.emitted) outcomeOf(sequence).tokens.push(pass.endMs);
    for (const sequence of pass.completed) Object.assign(outcomeOf(sequence), { endMs: pass.endMs, status: 'completed' });
    for (const sequence of pass.rejected) Object.assign(outcomeOf(sequence), { endMs: pass.endMs, status: 'rejected' });
    if (pass.endMs === now && pass.computedTokens === 0 && pass.emitted.length + pass.completed.length + pass.rejected.length === 0)
      throw new Error('an effect-free zero-duration pass');
    now = pass.endMs;
  }
  return outcomes;
}

/** Runs requests over several engines, in turn by arrival. */
export function driveAll(
  count: number,
  options: MockEngineOptions,
  run: { readonly requests: readonly TracedRequest[]; readonly traceBlock: number },
): Outcome[] {
  const first = Math.min(...run.requests.map(({ at }) => at));
  const sorted = run.requests.map((request) => ({ ...request, at: request.at - first })).toSorted((a, b) => a.at - b.at);
  return Array.from({ length: count }, (_, worker) => sorted.filter((_request, index) => index % count === worker)).flatMap((requests) =>
    drive(new MockEngine(options), requests, run.traceBlock),
  );
}
