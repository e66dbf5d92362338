import { readFileSync } from 'node:fs';
import { type HandlerContext, DistributedRuntime } from '@dynamo/runtime';
import { encodeModel } from '@dynamo/runtime/internal';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { Frontend } from '../../frontend/frontend.ts';
import { Llm } from '../../llm.ts';
import { cardFromDirectory } from '../../model/card.ts';
import { tinyModel } from '../../testing/scripted-worker.ts';

type Frame = { bytes: string } | { type: string } | string;
interface Case {
  case: string;
  sent: Frame[];
  received: string[];
  close?: [number, string];
}
type Seen = { ev: string; frame?: unknown; stopped?: boolean; killed?: boolean };

const captured = JSON.parse(readFileSync(new URL('../../../../../vectors/llm/http/realtime.json', import.meta.url), 'utf8')) as {
  cases: Case[];
  worker: Seen[];
};

let runtime: DistributedRuntime;
let frontend: Frontend;
const seen: Seen[] = [];
beforeEach(() => void (seen.length = 0));

/** The worker of the captures: what it answers to each event. */
async function* talk(input: AsyncIterable<unknown>, context: HandlerContext): AsyncGenerator<unknown> {
  seen.push({ ev: 'open' });
  try {
    for await (const item of input) {
      const frame = item as { type: string; session?: unknown };
      seen.push({ ev: 'in', frame });
      if (frame.type === 'session.update') yield { type: 'session.updated', event_id: 'ev1', session: frame.session };
      else if (frame.type === 'response.create') {
        const at = { response_id: 'r', item_id: 'i', output_index: 0, content_index: 0 };
        yield { type: 'response.output_text.delta', event_id: 'ev2', ...at, delta: 'hi' };
        yield { nonsense: true };
      } else if (frame.type === 'input_audio_buffer.commit') throw new Error('scripted rt boom');
      else {
        const at = { response_id: 'r', item_id: 'i', output_index: 0, content_index: 0 };
        yield { type: 'response.output_text.done', event_id: 'ev3', ...at, text: 'said' };
      }
    }
  } finally {
    seen.push({ ev: 'input-end', stopped: context.signal.aborted });
  }
}

beforeAll(async () => {
  runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  const { instance } = await runtime.serve('h3.backend.rt', talk, { input: 'stream' });
  const card = { ...(await cardFromDirectory(tinyModel, { name: 'rt', input: 'text' })), model_type: 'Realtime', model_info: null, tokenizer: null };
  const { id, namespace, component, endpoint } = instance;
  await runtime.discovery.put(encodeModel({ id, namespace, component, endpoint, card }));
  frontend = await new Llm(runtime).frontend({ http: { host: '127.0.0.1', port: 0 }, drainMs: 200 });
  await vi.waitFor(() => expect(frontend.models).toEqual(['rt']), 10_000);
});
afterAll(async () => {
  await frontend[Symbol.asyncDispose]();
  await runtime[Symbol.asyncDispose]();
});

/** A socket and all that it was told; `next` waits for a number of frames. */
function connect(path = '/v1/realtime'): {
  web: WebSocket;
  frames: string[];
  closed: Promise<[number, string]>;
  count: (n: number) => Promise<void>;
} {
  const web = new WebSocket(frontend.address.replace('http', 'ws') + path);
  const frames: string[] = [];
  web.on('message', (data) => frames.push(String(data)));
  const closed = new Promise<[number, string]>((resolve) => web.on('close', (code, reason) => resolve([code, String(reason)])));
  return { web, frames, closed, count: (n) => vi.waitFor(() => expect(frames.length).toBeGreaterThanOrEqual(n), 10_000) };
}

const normal = (text: string): unknown => {
  const value = JSON.parse(text.replace(/event_[0-9a-f-]{36}/g, 'event_<uuid>'));
  // The worker of the captures quotes what it was sent.
  return value.type === 'response.output_text.done' ? { ...value, text: '' } : value;
};

test.each(captured.cases)('$case', async ({ case: name, sent, received, close }) => {
  const { web, frames, closed, count } = connect(name === 'model in query' ? '/v1/realtime?model=nope' : undefined);
  await count(1);
  for (const [index, frame] of sent.entries()) {
    if (typeof frame === 'object' && 'bytes' in frame) web.send(Buffer.from(frame.bytes));
    else web.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
    // Frames of the worker's and of the frontend's own would come in any order.
    if (index < sent.length - 1) await count(Math.min(index + 2, received.length));
  }
  await count(received.length);
  if (close === undefined) web.close();
  const how = await closed;
  expect(frames.map(normal)).toEqual(received.map(normal));
  if (close !== undefined) expect(how).toEqual(close);
});

test('the worker gets the events one by one, and hears that the client has left', async () => {
  const { web, closed, count } = connect();
  await count(1);
  const [first] = captured.cases as [Case];
  for (const frame of first.sent) web.send(JSON.stringify(frame));
  await count(first.received.length);
  web.close();
  await closed;
  await vi.waitFor(() => expect(seen.at(-1)?.ev).toBe('input-end'), 10_000);
  const theirs = captured.worker.slice(2, 6);
  expect(seen.slice(1).map(({ ev, frame, stopped }) => (ev === 'in' ? { ev, frame } : { ev, stopped, killed: false }))).toEqual(theirs);
});

test('without an upgrade it is refused in words, and other upgrades are plain requests', async () => {
  const plain = await fetch(`${frontend.address}/v1/realtime`);
  expect([plain.status, await plain.text()]).toEqual([400, "Connection header did not include 'upgrade'"]);
  const web = new WebSocket(`${frontend.address.replace('http', 'ws')}/live`);
  const status = await new Promise((resolve) =>
    web.on('unexpected-response', (_request, response) => resolve(response.statusCode)).on('error', () => undefined),
  );
  expect(status).toBe(200);
});

test('a flood of events waits for its worker, and none is lost', async () => {
  const { web, frames, closed, count } = connect();
  await count(1);
  web.send(JSON.stringify({ type: 'session.update', session: { type: 'realtime', model: 'rt' } }));
  for (let index = 0; index < 2_000; index++) web.send(JSON.stringify({ type: 'conversation.item.delete', item_id: String(index) }));
  await count(2_002);
  web.close();
  await closed;
  expect(frames).toHaveLength(2_002);
  expect(seen.flatMap(({ frame }) => (frame as { item_id?: string } | undefined)?.item_id ?? [])).toEqual(
    Array.from({ length: 2_000 }, (_, index) => String(index)),
  );
});

test('a shutdown closes the sockets', async () => {
  const { web, closed, count } = connect();
  await count(1);
  web.send(JSON.stringify({ type: 'session.update', session: { type: 'realtime', model: 'rt' } }));
  await count(2);
  await frontend[Symbol.asyncDispose]();
  expect((await closed)[0]).toBe(1001);
});
