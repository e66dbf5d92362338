import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import type { AddressInfo } from 'node:net';

/** A request as the upstream got it. */
export interface UpstreamRequest {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Readonly<Record<string, unknown>>;
  /** Resolves when its connection is closed before the answer's end. */
  readonly left: Promise<void>;
}

/** How the upstream behaves; changed while it runs. */
export interface UpstreamScript {
  models: unknown;
  /** Status of /health; undefined has no such route. */
  health: number | undefined;
  metrics: string | undefined;
  answer: (request: UpstreamRequest, response: ServerResponse) => void | Promise<void>;
}

/** An OpenAI server over real HTTP that does what the test says. */
export interface ScriptedUpstream extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly script: UpstreamScript;
  readonly requests: UpstreamRequest[];
}

/** One event of a stream. */
export const event = (value: unknown): string => `data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`;

/** A piece of a completion that tells its ids. */
export const piece = (ids: readonly number[] | undefined, more: object = {}): object => ({
  id: 'c',
  object: 'text_completion',
  choices: [
    {
      index: 0,
      text: ids === undefined ? '' : ids.map(String).join(' '),
      ...(ids === undefined ? {} : { token_ids: ids }),
      finish_reason: null,
      ...more,
    },
  ],
});

/** Gives the prompt back, one id an event, up to the limit. */
export async function giveBack({ body }: UpstreamRequest, response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
  const prompt = body['prompt'] as number[];
  const ids = prompt.slice(0, body['max_tokens'] as number);
  for (const [at, id] of ids.entries()) response.write(event(piece([id], at === ids.length - 1 ? { finish_reason: 'length' } : {})));
  response.write(event({ choices: [], usage: { prompt_tokens: prompt.length, completion_tokens: ids.length, total_tokens: 0 } }));
  response.end(event('[DONE]'));
}

/** Starts one that behaves well; `port` takes the place of one that has gone. */
export async function scriptedUpstream(script: Partial<UpstreamScript> = {}, port = 0): Promise<ScriptedUpstream> {
  const full: UpstreamScript = {
    models: { object: 'list', data: [{ id: 'up', object: 'model', max_model_len: 512 }] },
    health: 200,
    metrics: undefined,
    answer: giveBack,
    ...script,
  };
  const requests: UpstreamRequest[] = [];
  const server: Server = createServer((request, response) => void serve(request, response, { script: full, requests }));
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const { port: taken } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${taken}`,
    port: taken,
    script: full,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  { script, requests }: { script: UpstreamScript; requests: UpstreamRequest[] },
): Promise<void> {
  const path = request.url ?? '';
  const plain = (status: number, text: string): void => void response.writeHead(status, { 'content-type': 'text/plain' }).end(text);
  if (request.method === 'POST') {
    const left = new Promise<void>((resolve) => response.once('close', () => (response.writableFinished ? undefined : resolve())));
    const got: UpstreamRequest = { path, headers: request.headers, body: (await json(request)) as UpstreamRequest['body'], left };
    requests.push(got);
    await script.answer(got, response);
  } else if (path === '/v1/models') plain(200, typeof script.models === 'string' ? script.models : JSON.stringify(script.models));
  else if (path === '/health' && script.health !== undefined) plain(script.health, '');
  else if (path === '/metrics' && script.metrics !== undefined) plain(200, script.metrics);
  else plain(404, 'no such route');
}
