import { setTimeout as sleep } from 'node:timers/promises';
import type { TokenRequest } from '@dynamo/kv-router';
import type { HandlerContext } from '@dynamo/runtime';
import { tinyIds } from './scripted-worker.ts';

/** An engine that does what the prompt's words say: `flood` without end, `slowly` a token every 5 ms, `silent` nothing, `halting` one token and then nothing; else "fine". */
export async function* modalEngine(request: TokenRequest, { signal }: HandlerContext): AsyncGenerator<object> {
  const prompt = Buffer.from(request.tokenIds.filter((id) => id < 256)).toString();
  const says = (word: string): boolean => prompt.includes(word);
  if (says('flood')) while (!signal.aborted) yield { tokenIds: tinyIds('x'.repeat(1000)) };
  else if (says('slowly')) for (let i = 0; i < 2_000 && !signal.aborted; i++) yield await later(5, signal, { tokenIds: tinyIds('.') });
  else if (says('silent') || says('halting')) {
    if (says('halting')) yield { tokenIds: tinyIds('one') };
    while (!signal.aborted) await later(1_000, signal, undefined);
  } else yield { tokenIds: tinyIds('fine') };
  yield { tokenIds: [], finishReason: 'stop' };
}

const later = async <T>(ms: number, signal: AbortSignal, value: T): Promise<T> => {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
  return value;
};
