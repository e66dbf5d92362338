/**
 * Interop peer: a worker of ours that recites one text a request, and goes on where another worker was when it died.
 *
 * `reciter.ts MODEL_FOLDER`, configured with the usual `DYN_*` variables; prints its instance when it serves.
 */
import { flushCompileCache } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { Llm, type TokenRequest } from '@dynamo/llm';
import { DistributedRuntime } from '@dynamo/runtime';
import { recital } from '../recital.ts';

/** Where the answer begins: behind the last turn's opening mark and `assistant\n`. */
const answerAt = (tokenIds: readonly number[]): number => tokenIds.lastIndexOf(257) + 1 + 'assistant\n'.length;

async function* engine({ tokenIds }: TokenRequest, { signal }: { signal: AbortSignal }) {
  const at = answerAt(tokenIds);
  const prompt = Buffer.from(tokenIds.slice(0, at).filter((id) => id < 256)).toString();
  const ids = [...Buffer.from(recital(/recital (\d+)/.exec(prompt)?.[1] ?? ''))];
  for (let next = tokenIds.length - at; next < ids.length && !signal.aborted; next += 4) {
    await sleep(60);
    yield { tokenIds: ids.slice(next, next + 4) };
  }
  yield { tokenIds: [], finishReason: 'stop' as const };
}

const runtime = await DistributedRuntime.connect();
const { instance } = await new Llm(runtime).serve({ endpoint: 'dynamo.backend.generate', model: process.argv[2] as string, name: 'reciter', engine });
process.stdout.write(`${instance.id}\n`);
// Whoever is killed writes no cache at its end.
flushCompileCache();
