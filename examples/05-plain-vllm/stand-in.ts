import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

/** A small OpenAI server with a prefix cache, which answers like vLLM. */
export interface StandIn extends AsyncDisposable {
  readonly url: string;
}

interface Completion {
  readonly prompt: readonly number[];
  readonly max_tokens: number;
}

const blockSize = 16;
const folder = fileURLToPath(new URL('../../tools/cli/model', import.meta.url));

/** Starts one on a free port. */
export async function openStandIn(): Promise<StandIn> {
  const cache = new Set<string>();

  function complete({ prompt, max_tokens: count }: Completion, response: ServerResponse): void {
    let cached = 0;
    for (let end = blockSize; end < prompt.length; end += blockSize) {
      const block = prompt.slice(0, end).join();
      if (cache.has(block)) cached = end;
      cache.add(block);
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const send = (value: object): boolean => response.write(`data: ${JSON.stringify(value)}\n\n`);
    for (let at = 0; at < count; at++)
      send({ choices: [{ index: 0, text: '', token_ids: [prompt[at]], finish_reason: at === count - 1 ? 'length' : null }] });
    send({ choices: [], usage: { prompt_tokens: prompt.length, completion_tokens: count, prompt_tokens_details: { cached_tokens: cached } } });
    response.end('data: [DONE]\n\n');
  }

  const server = createServer((request, response) => {
    if (request.method === 'POST') void json(request).then((body) => complete(body as Completion, response));
    else if (request.url === '/v1/models') response.end(JSON.stringify({ data: [{ id: 'stand-in', root: folder, max_model_len: 4_096 }] }));
    else response.writeHead(request.url === '/health' ? 200 : 404).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
