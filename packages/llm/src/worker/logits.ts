import { DynamoError } from '@dynamo/runtime';

/**
 * Changes the scores of an engine's next token in place: of each token of the vocabulary one, for one request. `inputIds` are the
 * request's tokens so far, prompt and answer. One that keeps state is made for each request (spec logits-processing).
 *
 * It can't travel: whoever writes an engine calls it between computing the scores and choosing the token, best by
 * `applyLogitsProcessors` of `@dynamo/internal`, which also has the three processors of 1.6.1.
 */
export type LogitsProcessor = (inputIds: readonly number[] | Uint32Array, logits: Float32Array) => void;

/** What `applyLogitsProcessors` may be told. */
export interface ApplyOptions {
  /** Names the request in the log. */
  readonly requestId?: string;
  readonly log?: { error(facts: object, message: string): void };
}

/**
 * Runs processors in their order. One that throws is told of in the log and leaves the scores as it found them, and the next
 * one goes on from there, as the real adapters do.
 */
export function applyLogitsProcessors(
  processors: readonly LogitsProcessor[],
  inputIds: readonly number[] | Uint32Array,
  logits: Float32Array,
  { requestId = '', log }: ApplyOptions = {},
): void {
  const before = processors.length === 0 ? undefined : new Float32Array(logits.length);
  for (const process of processors) {
    before?.set(logits);
    try {
      process(inputIds, logits);
    } catch (error) {
      if (before !== undefined) logits.set(before);
      log?.error({ request: requestId, error: String(error) }, `Error in logits processor for request ${requestId}`);
    }
  }
}

/** A processor as an engine that works on batches and beams calls it: it serves one request at a time. */
export type BatchedLogitsProcessor = (
  requestId: string,
  logits: Float32Array,
  shape: readonly [batch: number, beam: number, vocabulary: number],
  ids: readonly (readonly number[])[],
) => void;

/** Fits a processor to such an engine; what it can't do is an error in the log, and the scores stay as they are. */
export function adaptLogitsProcessor(processor: LogitsProcessor, log?: ApplyOptions['log']): BatchedLogitsProcessor {
  return (requestId, logits, [batch, beam, vocabulary], ids) => {
    const checked: LogitsProcessor = (inputIds, view) => {
      if (batch !== 1)
        throw invalid(`This logits adapter only supports per-request logits processing. Received logits with batch size ${batch} expected 1`);
      if (beam !== 1) throw invalid('Logits processing with beam width > 1 is not supported');
      processor(inputIds, view);
    };
    applyLogitsProcessors([checked], ids[0] ?? [], logits.subarray(0, vocabulary), { requestId, ...(log === undefined ? {} : { log }) });
  };
}

/**
 * Divides all scores, so that choices are bolder (below 1) or surer of themselves (above 1).
 *
 * @throws DynamoError `invalid_argument` for a temperature that is not above 0.
 */
export function temperatureProcessor(temperature = 1): LogitsProcessor {
  if (!(temperature > 0)) throw invalid('Temperature must be positive');
  const divisor = Math.fround(temperature);
  return (_inputIds, logits) => {
    if (temperature === 1) return;
    for (let at = 0; at < logits.length; at++) logits[at] = (logits[at] as number) / divisor;
  };
}

/**
 * Lets only one token be chosen at each step: those of a sequence, and then the end. For one request.
 *
 * @throws DynamoError `invalid_argument` without an end token; when called, for a token that is no member of the vocabulary.
 */
export function forcedSequenceProcessor(tokenIds: readonly number[], eosTokenId: number | undefined): LogitsProcessor {
  if (eosTokenId === undefined) throw invalid('ForcedSequenceLogitsProcessor requires eos_token_id');
  let position = 0;
  return (_inputIds, logits) => {
    const forced = tokenIds[position] ?? eosTokenId;
    if (!Number.isInteger(forced) || forced < 0 || forced >= logits.length)
      throw invalid(`index ${forced} is out of bounds for dimension 0 with size ${logits.length}`);
    const kept = logits[forced] as number;
    // Added and not set: what is no number stays none.
    for (let at = 0; at < logits.length; at++) logits[at] = (logits[at] as number) - Infinity;
    logits[forced] = kept;
    position++;
  };
}

/**
 * Has a model say "Hello world!" and end, whatever it is asked: the least that shows that an engine applies processors.
 *
 * @throws DynamoError `invalid_argument` for a tokenizer without an end token.
 */
export function helloWorldProcessor(tokenizer: { encode(text: string): readonly number[]; readonly eosTokenId?: number }): LogitsProcessor {
  if (tokenizer.eosTokenId === undefined) throw invalid('Tokenizer has no eos_token_id; HelloWorldLogitsProcessor requires one.');
  return forcedSequenceProcessor(tokenizer.encode('Hello world!'), tokenizer.eosTokenId);
}

const invalid = (message: string): DynamoError => new DynamoError('invalid_argument', message);
