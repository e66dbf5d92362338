import { DynamoError } from '@dynamo/runtime';
import type { CompletionUsage, FinishReason, TokenChunk, TopLogprob } from '../request.ts';
import { describe, object, type Wire } from './members.ts';

/** Writes an engine's chunk with its wire names; only what is set (spec llm 2.2). */
export function encodeEngineOutput(chunk: TokenChunk): Record<string, unknown> {
  const usage = chunk.usage;
  return {
    token_ids: chunk.tokenIds,
    text: chunk.text,
    cum_log_probs: chunk.cumulativeLogprob,
    log_probs: chunk.logprobs,
    top_logprobs: chunk.topLogprobs?.map((position) => position.map(({ tokenId, ...rest }) => ({ ...rest, token_id: tokenId }))),
    finish_reason: chunk.finishReason,
    stop_reason: chunk.stopReason,
    index: chunk.index,
    completion_usage:
      usage === undefined
        ? undefined
        : {
            prompt_tokens: usage.promptTokens,
            completion_tokens: usage.completionTokens,
            total_tokens: usage.totalTokens,
            prompt_tokens_details: usage.promptTokensDetails,
          },
    ...chunk.extra,
  };
}

/**
 * Reads an engine's chunk; null counts as absent, unknown members are kept in `extra` (spec llm 2.2).
 *
 * @throws DynamoError `unknown` of origin `backend` when `token_ids` is missing, a known member has the wrong type, or the
 * finish reason is none of the known ones.
 */
export function decodeEngineOutput(value: unknown): TokenChunk {
  const wire = object(value);
  if (wire === undefined) throw bad('the chunk', 'an object', value);
  const chunk: TokenChunk = { tokenIds: tokenIds(wire['token_ids']) };
  const extra: [string, unknown][] = [];
  for (const name of Object.keys(wire)) {
    const member = wire[name];
    if (member === null || member === undefined || name === 'token_ids') continue;
    const read = Object.hasOwn(readers, name) ? readers[name as keyof typeof readers] : undefined;
    if (read !== undefined) read(chunk, member);
    else if (!(name === 'output_type' && member === defaultOutputType)) extra.push([name, member]);
  }
  if (extra.length > 0) chunk.extra = Object.fromEntries(extra);
  return chunk;
}

/** `output_type` of an engine that makes text: it says nothing, and is left out. */
export const defaultOutputType = 'text';

/** Finish reasons that are one word on the wire and here. */
export const finishWords: readonly Exclude<FinishReason, object>[] = ['stop', 'eos', 'length', 'cancelled', 'abort', 'content_filter'];

const readers = {
  text: (chunk: TokenChunk, member: unknown): unknown => (chunk.text = text('text', member)),
  finish_reason: (chunk: TokenChunk, member: unknown): unknown => (chunk.finishReason = finishReason(member)),
  stop_reason: (chunk: TokenChunk, member: unknown): unknown =>
    (chunk.stopReason = typeof member === 'string' ? member : number('stop_reason', member)),
  index: (chunk: TokenChunk, member: unknown): unknown => (chunk.index = id('index', member)),
  cum_log_probs: (chunk: TokenChunk, member: unknown): unknown => (chunk.cumulativeLogprob = number('cum_log_probs', member)),
  log_probs: (chunk: TokenChunk, member: unknown): unknown =>
    (chunk.logprobs = array('log_probs', member).map((logprob) => number('log_probs', logprob))),
  top_logprobs: (chunk: TokenChunk, member: unknown): unknown =>
    (chunk.topLogprobs = array('top_logprobs', member).map((position) => array('top_logprobs', position).map(topLogprob))),
  completion_usage: (chunk: TokenChunk, member: unknown): unknown => (chunk.usage = usage(member)),
};

function finishReason(member: unknown): FinishReason {
  if (typeof member === 'string') {
    const word = finishWords.find((known) => known === member);
    if (word !== undefined) return word;
    if (member === 'error') return { error: 'the engine gave no reason' };
    if (member.startsWith('error:')) return { error: member.slice('error:'.length).trimStart() };
  }
  const wire = object(member);
  if (wire !== undefined && 'error' in wire) return { error: typeof wire['error'] === 'string' ? wire['error'] : describe(wire['error']) };
  throw bad('finish_reason', 'a known word', member);
}

function usage(member: unknown): CompletionUsage {
  const wire = object(member);
  if (wire === undefined) throw bad('completion_usage', 'an object', member);
  const details = wire['prompt_tokens_details'];
  const read: CompletionUsage = {
    promptTokens: number('prompt_tokens', wire['prompt_tokens']),
    completionTokens: number('completion_tokens', wire['completion_tokens']),
    totalTokens: number('total_tokens', wire['total_tokens']),
  };
  if (details !== null && details !== undefined) read.promptTokensDetails = details;
  return read;
}

function topLogprob(member: unknown): TopLogprob {
  const wire = object(member);
  if (wire === undefined) throw bad('top_logprobs', 'lists of objects', member);
  const { token_id: tokenId, ...rest } = wire;
  return { ...rest, tokenId: id('token_id', tokenId), rank: number('rank', wire['rank']), logprob: number('logprob', wire['logprob']) };
}

function tokenIds(member: unknown): readonly number[] {
  if (!Array.isArray(member) || !member.every(isId)) throw bad('token_ids', 'an array of token ids', member);
  return member;
}

/** Token ids are 32-bit unsigned on the wire. */
const isId = (member: unknown): member is number => typeof member === 'number' && Number.isInteger(member) && member >= 0 && member <= 0xffff_ffff;

function id(name: string, member: unknown): number {
  if (!isId(member)) throw bad(name, 'a small whole number', member);
  return member;
}

function number(name: string, member: unknown): number {
  if (typeof member === 'number') return member;
  if (typeof member === 'bigint') return Number(member);
  throw bad(name, 'a number', member);
}

function text(name: string, member: unknown): string {
  if (typeof member !== 'string') throw bad(name, 'text', member);
  return member;
}

function array(name: string, member: unknown): readonly unknown[] {
  if (!Array.isArray(member)) throw bad(name, 'an array', member);
  return member;
}

const bad = (name: string, expected: string, member: unknown): DynamoError =>
  new DynamoError('unknown', `the engine's answer can't be read: ${name} must be ${expected}, got ${describe(member)}`, { origin: 'backend' });
