import type { MockLaunch } from '@dynamo/internal';

/** Which tokens a request gets: the place counts from 0. */
export type ReplyTokens = (place: number) => number;

/** Ids of tokens that say nothing (spec mocker 5). */
const noise = { from: 1_000, count: 1_000 } as const;

/** Tokens of one answer: those that were recorded, or random ones, between the marks of a thought where that is asked for. */
export function replyTokens(options: {
  readonly maxTokens: number;
  readonly recorded?: readonly number[] | undefined;
  readonly reasoning?: MockLaunch['reasoning'];
  /** Ids of words, where an answer is to be read by people. */
  readonly words?: readonly number[] | undefined;
  readonly random: () => number;
}): ReplyTokens {
  const { maxTokens, recorded, reasoning, words, random } = options;
  const any = (): number =>
    words === undefined || words.length === 0
      ? noise.from + Math.floor(random() * noise.count)
      : (words[Math.floor(random() * words.length)] ?? noise.from);
  if (recorded !== undefined) return (place) => recorded[place] ?? any();
  const thought = reasoning === undefined ? 0 : thoughtLength(maxTokens, reasoning.ratio);
  if (reasoning === undefined || thought === 0) return any;
  return (place) => (place === 0 ? reasoning.start : place === thought - 1 ? reasoning.end : any());
}

/** How many tokens a thought takes, its marks among them; 0 for none (spec mocker 5). */
function thoughtLength(maxTokens: number, ratio: number): number {
  const wanted = Math.floor(maxTokens * ratio);
  return maxTokens < 2 || wanted === 0 ? 0 : Math.min(maxTokens, Math.max(2, wanted));
}
