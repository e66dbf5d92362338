import { readFileSync } from 'node:fs';
import { decodeJson, encodeMsgpack, silentLogger as log } from '@dynamo/runtime/internal';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Publisher } from 'zeromq';
import { serveIndexer } from '../indexer/indexer-service.ts';
import { serveSelection } from '../selection/selection-service.ts';
import { serveSlotTracker } from '../slots/slot-tracker.ts';

interface Step {
  method: string;
  path: string;
  body: any;
  status: number;
  content_type: string | null;
  answer: string;
}
const captured = decodeJson(readFileSync(new URL('../../../../vectors/kv-router/services_http.json', import.meta.url))) as {
  slot_tracker: Step[];
  indexer: Step[];
  select_service: Step[];
};

let stack: AsyncDisposableStack;
beforeEach(() => void (stack = new AsyncDisposableStack()));
afterEach(() => stack.disposeAsync());

/** A body as the capture sent it: with a space behind commas and colons, which the columns of messages count. */
function bodyText(body: any): string | undefined {
  if (body === null || body === undefined) return undefined;
  if (typeof body.raw === 'string') return body.raw;
  return spaced(body);
}

const spaced = (value: any): string => {
  if (Array.isArray(value)) return `[${value.map(spaced).join(', ')}]`;
  if (typeof value === 'object' && value !== null)
    return `{${Object.entries(value)
      .map(([name, member]) => `${JSON.stringify(name)}: ${spaced(member)}`)
      .join(', ')}}`;
  return typeof value === 'bigint' ? String(value) : JSON.stringify(value);
};

async function ask(address: string, step: Step): Promise<{ status: number; type: string | null; text: string }> {
  const body = bodyText(step.body);
  const response = await fetch(`${address}${step.path}`, {
    method: step.method,
    ...(body === undefined ? {} : { body, headers: { 'content-type': 'application/json' } }),
  });
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() };
}

const title = (steps: Step[]): [string, Step][] => steps.map((step, at) => [`${at} ${step.method} ${step.path} -> ${step.status}`, step]);

test('the slot tracker answers every captured call as the real one', async () => {
  const { address } = stack.use(await serveSlotTracker({ host: '127.0.0.1', port: 0, log }));
  for (const [name, step] of title(captured.slot_tracker))
    expect(await ask(address, step), name).toEqual({ status: step.status, type: step.content_type, text: step.answer });
});

/** An engine that has cached what the captured one had: blocks 101 and 102 with the tokens 1 to 32. */
async function openEngine(): Promise<{ address: string; tell: () => Promise<void> }> {
  const socket = new Publisher({ linger: 0 });
  stack.defer(() => socket.close());
  await socket.bind('tcp://127.0.0.1:*');
  const tokens = Array.from({ length: 32 }, (_, at) => at + 1);
  const stored = { type: 'BlockStored', block_hashes: [101, 102], parent_block_hash: null, token_ids: tokens, block_size: 16 };
  const frames = ['', Buffer.alloc(8), Buffer.from(encodeMsgpack([1, [stored], 0]))];
  return { address: socket.lastEndpoint ?? '', tell: () => socket.send(frames) };
}

/** Metrics with what depends on the time taken out: how many calls were how fast. */
const timeless = (text: string): string => text.replaceAll(/(_bucket\{[^}]*\}|_sum\{[^}]*\}) \S+/g, '$1 #');

test('the indexer answers every captured call as the real one', async () => {
  const engine = await openEngine();
  const captureAddress = 'tcp://127.0.0.1:21850';
  const { address } = stack.use(await serveIndexer({ host: '127.0.0.1', port: 0, log }));
  for (const [name, step] of title(captured.indexer)) {
    const body = step.body?.endpoint === captureAddress ? { ...step.body, endpoint: engine.address } : step.body;
    if (step.path === '/query' && step.status === 200) {
      // The captured engine had told its blocks before the first query.
      await vi.waitFor(async () => {
        await engine.tell();
        expect((await ask(address, { ...step, body })).text).toBe(step.answer);
      }, 10_000);
    }
    const { status, type, text } = await ask(address, { ...step, body });
    expect({ status, type }, name).toEqual({ status: step.status, type: step.content_type });
    // The capture of the metrics was cut after 2,000 characters.
    if (step.path === '/metrics')
      expect(timeless(text).slice(0, timeless(step.answer).lastIndexOf('\n'))).toBe(
        timeless(step.answer).slice(0, timeless(step.answer).lastIndexOf('\n')),
      );
    else expect(text.replaceAll(engine.address, captureAddress), name).toBe(step.answer);
  }
});

test('the selection service answers every captured call as the real one', async () => {
  const { address } = stack.use(await serveSelection({ host: '127.0.0.1', port: 0, log }));
  // A selection without a name gets one of its own.
  const named = (text: string): string => text.replace(/"selection_id":"[\da-f]{8}-[\da-f-]{27}"/, '"selection_id":"*"');
  for (const [name, step] of title(captured.select_service)) {
    const { status, type, text } = await ask(address, step);
    expect({ status, type, text: named(text) }, name).toEqual({ status: step.status, type: step.content_type, text: named(step.answer) });
  }
});
