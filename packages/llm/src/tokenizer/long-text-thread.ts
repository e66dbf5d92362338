import { parentPort, workerData } from 'node:worker_threads';
import { DynamoError } from '@dynamo/runtime';
import { loadTokenizer } from './index.ts';
import type { LongTextFiles, Refusal } from './long-text.ts';

const { tokenizer: json, config } = workerData as LongTextFiles;
const tokenizer = loadTokenizer(JSON.parse(json), JSON.parse(config));

parentPort?.on('message', (text: string) => {
  try {
    const ids = Uint32Array.from(tokenizer.encode(text));
    parentPort?.postMessage(ids, [ids.buffer]);
  } catch (error) {
    // Classes do not cross the border between threads: only what an error says does.
    const { code, message, data } = DynamoError.from(error);
    parentPort?.postMessage({ code, message, data } satisfies Refusal);
  }
});
