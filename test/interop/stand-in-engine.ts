import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { encodeMsgpack } from '@dynamo/runtime/internal';
import { Publisher } from 'zeromq';

/** An OpenAI server that stands in for vLLM: same routes, same events, a prefix cache that is real. */
export interface StandInEngine extends AsyncDisposable {
  readonly url: string;
  /** Where it publishes the events of its cache. */
  readonly events: string;
  readonly blockSize: number;
  /** Requests that were left before their end. */
  readonly left: number;
  readonly answered: number;
}

const blockSize = 16;

/** Starts one; it gives prompts back, token by token. */
export async function standInEngine(model: { name: string; folder: string }): Promise<StandInEngine> {
  const socket = new Publisher({ linger: 0 });
  await socket.bind('tcp://127.0.0.1:*');
  const known = new Map<string, bigint>();
  let sequence = 0n;
  const counts = { left: 0, answered: 0 };

  /** Caches the whole blocks of a prompt; how many tokens of it were there, the last one never among them. */
  async function cache(prompt: readonly number[]): Promise<number> {
    let parent: bigint | null = null;
    let cached = 0;
    const stored: Record<string, unknown>[] = [];
    for (let end = blockSize; end <= prompt.length; end += blockSize) {
      const key = prompt.slice(0, end).join(' ');
      const hash: bigint = known.get(key) ?? (BigInt(known.size + 1) * 0x9e37_79b9_7f4a_7c15n) % 2n ** 64n;
      if (known.has(key)) cached += end < prompt.length ? blockSize : 0;
      else
        stored.push({
          type: 'BlockStored',
          block_hashes: [hash],
          parent_block_hash: parent,
          token_ids: prompt.slice(end - blockSize, end),
          block_size: blockSize,
          lora_id: null,
          medium: 'GPU',
        });
      known.set(key, hash);
      parent = hash;
    }
    if (stored.length > 0) {
      const number = Buffer.alloc(8);
      number.writeBigUInt64BE(sequence++);
      await socket.send(['', number, encodeMsgpack([Date.now() / 1_000, stored, 0])]);
    }
    return cached;
  }

  async function complete(body: { prompt: number[]; max_tokens: number }, response: ServerResponse): Promise<void> {
    const cached = await cache(body.prompt);
    response.once('close', () => void (response.writableFinished ? counts.answered++ : counts.left++));
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const send = (value: object): boolean => response.write(`data: ${JSON.stringify(value)}\n\n`);
    for (let at = 0; at < body.max_tokens && !response.closed; at++) {
      const last = at === body.max_tokens - 1;
      send({ choices: [{ index: 0, text: '', token_ids: [body.prompt[at % body.prompt.length]], finish_reason: last ? 'length' : null }] });
      if (body.max_tokens > 100) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const usage = { prompt_tokens: body.prompt.length, completion_tokens: body.max_tokens, prompt_tokens_details: { cached_tokens: cached } };
    send({ choices: [], usage });
    response.end('data: [DONE]\n\n');
  }

  const server = createServer((request, response) => {
    if (request.method === 'POST') void json(request).then((body) => complete(body as { prompt: number[]; max_tokens: number }, response));
    else if (request.url === '/v1/models')
      response.end(JSON.stringify({ object: 'list', data: [{ id: model.name, root: model.folder, max_model_len: 8_192 }] }));
    else if (request.url === '/metrics')
      response.end(`vllm:cache_config_info{block_size="${blockSize}",num_gpu_blocks="1000"} 1.0\nvllm:kv_cache_usage_perc{engine="0"} 0.01\n`);
    else response.writeHead(request.url === '/health' ? 200 : 404).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    events: socket.lastEndpoint ?? '',
    blockSize,
    get left() {
      return counts.left;
    },
    get answered() {
      return counts.answered;
    },
    async [Symbol.asyncDispose]() {
      socket.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
