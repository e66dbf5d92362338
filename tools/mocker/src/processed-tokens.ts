import { applyLogitsProcessors } from '@dynamo/internal';
import type { LogitsProcessor } from '@dynamo/llm';
import type { ReplyTokens } from './reply-tokens.ts';

/** How a mock engine chooses tokens where processors are to have a say. */
export interface LogitsMode {
  /** How many tokens there are. */
  readonly vocabulary: number;
  /** Made anew for each request, since they may keep state. */
  readonly processors: () => readonly LogitsProcessor[];
}

/** What the token that would have been said is ahead of all others. */
const lead = 1;

/**
 * Tokens of an answer with processors between the scores and the choice: the token that the engine would have said has the best
 * score, the others less the farther they are from it, and the best one that the processors leave is said.
 */
export function processedTokens(
  reply: ReplyTokens,
  mode: LogitsMode,
  request: { readonly tokens: () => readonly number[]; readonly id: string; readonly log: { error(facts: object, message: string): void } },
): ReplyTokens {
  const processors = mode.processors();
  const scores = new Float32Array(mode.vocabulary);
  return (place) => {
    const favourite = reply(place) % mode.vocabulary;
    for (let id = 0; id < scores.length; id++) scores[id] = -Math.abs(id - favourite) / scores.length;
    scores[favourite] = lead;
    applyLogitsProcessors(processors, request.tokens(), scores, { requestId: request.id, log: request.log });
    let best = 0;
    for (let id = 1; id < scores.length; id++) if ((scores[id] as number) > (scores[best] as number)) best = id;
    return best;
  };
}
