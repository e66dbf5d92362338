import { setTimeout as sleep } from 'node:timers/promises';
import type { Engine } from '@dynamo/llm';
import { ids, promptOf } from './tiny-model.ts';

/** An engine that thinks, calls the weather tool if one is offered, tells what it said; greets, fails or talks slowly as it is asked to. */
export function weatherEngine(): { readonly engine: Engine; readonly cancelled: number } {
  let cancelled = 0;
  const engine: Engine = async function* ({ tokenIds }, { signal }) {
    const prompt = promptOf(tokenIds);
    if (prompt.includes('slowly')) {
      signal.addEventListener('abort', () => cancelled++, { once: true });
      for (let i = 0; i < 4_000 && !signal.aborted; i++) {
        yield { tokenIds: ids('tick ') };
        await sleep(5);
      }
      return;
    }
    const rain = /rain in \w+/.exec(prompt)?.[0];
    const offered = /Tools:.*"name": ?"weather"/s.test(prompt);
    const text =
      rain !== undefined ? `I see ${rain}.` : offered ? '<tool_call>{"name":"weather","arguments":{"city":"Bern"}}</tool_call>' : 'Hé 日本!';
    yield { tokenIds: ids('<think>well</think>') };
    for (const id of ids(text)) yield { tokenIds: [id] };
    if (prompt.includes('fail midway')) throw new Error('a secret of the engine');
    yield { tokenIds: [], finishReason: 'stop' };
  };
  return {
    engine,
    get cancelled() {
      return cancelled;
    },
  };
}
