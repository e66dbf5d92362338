import { parentPort, workerData } from 'node:worker_threads';
import { loadTokenizer } from './index.ts';
import type { LongTextFiles } from './long-text.ts';

const { tokenizer: json, config } = workerData as LongTextFiles;
const tokenizer = loadTokenizer(JSON.parse(json), JSON.parse(config));

parentPort?.on('message', (text: string) => {
  const ids = Uint32Array.from(tokenizer.encode(text));
  parentPort?.postMessage(ids, [ids.buffer]);
});
