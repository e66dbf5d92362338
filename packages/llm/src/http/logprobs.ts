import type { TopLogprob } from '@dynamo/kv-router';
import type { TextChunk } from '../stages/to-text.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

/** How tokens are named in logprobs. */
export interface TokenNames {
  readonly tokenizer: Tokenizer;
  /** Names tokens `token_id:104` (spec llm 3.3). */
  readonly asIds: boolean;
}

/** Log-probabilities of a chat choice; null where the engine gave none. */
export function chatLogprobs(chunk: TextChunk, names: TokenNames): { content: unknown[]; refusal: null } | null {
  if (chunk.logprobs === undefined) return null;
  const content = chunk.logprobs.map((logprob, index) => {
    const id = chunk.tokenIds[index] ?? 0;
    const top = chunk.topLogprobs?.[index] ?? [];
    const token = nameOf(id, top, names);
    return {
      token,
      logprob,
      token_id: id,
      bytes: bytesOf(token),
      top_logprobs: top.map((candidate) => {
        const text = candidateName(candidate, names);
        return { token: text, logprob: candidate.logprob, bytes: bytesOf(text) };
      }),
    };
  });
  return { content, refusal: null };
}

/** Log-probabilities of a completion choice, in its older form. */
export interface CompletionLogprobs {
  tokens: string[];
  token_logprobs: number[];
  top_logprobs: Record<string, number>[];
  text_offset: number[];
}

export function completionLogprobs(chunk: TextChunk, names: TokenNames): CompletionLogprobs | undefined {
  if (chunk.logprobs === undefined) return undefined;
  const tops = chunk.topLogprobs ?? [];
  return {
    tokens: chunk.logprobs.map((_logprob, index) => nameOf(chunk.tokenIds[index] ?? 0, tops[index] ?? [], names)),
    token_logprobs: [...chunk.logprobs],
    top_logprobs: tops.map((top) => Object.fromEntries(top.map((candidate) => [candidateName(candidate, names), candidate.logprob]))),
    text_offset: [],
  };
}

const bytesOf = (text: string): number[] => [...Buffer.from(text)];

function nameOf(id: number, top: readonly TopLogprob[], names: TokenNames): string {
  if (names.asIds) return `token_id:${id}`;
  return top.find((candidate) => candidate.tokenId === id)?.token ?? names.tokenizer.decode([id], { skipSpecialTokens: false });
}

function candidateName(candidate: TopLogprob, names: TokenNames): string {
  if (names.asIds) return `token_id:${candidate.tokenId}`;
  return candidate.token ?? names.tokenizer.decode([candidate.tokenId], { skipSpecialTokens: false });
}
