import { readFileSync } from 'node:fs';
import { type Logger } from '@dynamo/runtime';
import { encodeMsgpack } from '@dynamo/runtime/internal';
import { Publisher, Router } from 'zeromq';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { decodeEngineBatch } from '../wire/engine-batch.ts';
import { decodeReplayAnswer, encodeReplayRequest } from '../wire/engine-replay.ts';
import { openEngineSocket } from './engine-socket.ts';

interface Captured {
  request_frames_hex: string[];
  response_messages_hex: (string[] | string)[];
}
const captured = JSON.parse(readFileSync(new URL('../../../../vectors/kv-router/engine_zmq_replay.json', import.meta.url), 'utf8')) as Captured[];
const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');

test.each(captured.map((one) => [one.request_frames_hex[1] ?? '', one] as const))(
  "a real engine's answer to %s is asked for and read",
  (start, one) => {
    expect(encodeReplayRequest(BigInt(`0x${start}`)).map((frame) => Buffer.from(frame).toString('hex'))).toEqual(one.request_frames_hex);
    // The capture of a long answer was cut in the middle, and says so in place of what is left out.
    const messages = one.response_messages_hex.filter((frames) => Array.isArray(frames));
    const answers = messages.map((frames) => decodeReplayAnswer(frames.map(bytes)));
    let expected = BigInt(`0x${start}`);
    for (const answer of answers.slice(0, -1)) {
      if (!Array.isArray(answer)) throw new Error('an answer is no message');
      const [, sequence, payload] = answer as Buffer[];
      const number = sequence?.readBigUInt64BE() ?? -1n;
      expect(number).toBeGreaterThanOrEqual(expected);
      expected = number + 1n;
      expect(decodeEngineBatch(payload as Buffer).events.length).toBeGreaterThan(0);
    }
    // The capture of a long answer was cut; a whole one ends with the marker.
    if (one.response_messages_hex.at(-1)?.[2] === 'f'.repeat(16)) expect(answers.at(-1)).toBe('end');
  },
);

let stack: AsyncDisposableStack;
beforeEach(() => void (stack = new AsyncDisposableStack()));
afterEach(() => stack.disposeAsync());

const frame = (sequence: number): Buffer => {
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(BigInt(sequence));
  return number;
};
const batch = (name: number): Buffer => Buffer.from(encodeMsgpack([1, [{ type: 'BlockRemoved', block_hashes: [name] }], 0]));

/** An engine with both sockets; `kept` is what it can repeat. */
class Engine {
  readonly kept = new Map<number, Buffer>();
  readonly asked: bigint[] = [];
  silent = false;
  readonly publisher = new Publisher({ linger: 0 });
  readonly router = new Router({ linger: 0 });

  async open(): Promise<{ zmq: string; replay: string }> {
    await this.publisher.bind('tcp://127.0.0.1:*');
    await this.router.bind('tcp://127.0.0.1:*');
    const serving = this.#serve();
    stack.defer(async () => {
      this.publisher.close();
      this.router.close();
      await serving;
    });
    return { zmq: this.publisher.lastEndpoint ?? '', replay: this.router.lastEndpoint ?? '' };
  }

  async #serve(): Promise<void> {
    for await (const [id, , start] of this.router) {
      const from = (start as Buffer).readBigUInt64BE();
      this.asked.push(from);
      if (this.silent) continue;
      for (const [sequence, payload] of this.kept)
        if (BigInt(sequence) >= from) await this.router.send([id as Buffer, '', '', frame(sequence), payload]);
      await this.router.send([id as Buffer, '', '', Buffer.alloc(8, 0xff), '']);
    }
  }

  send(sequence: number, name = sequence): Promise<void> {
    return this.publisher.send(['', frame(sequence), batch(name)]);
  }
}

/** Names of the batches in the order in which they were delivered; `restart` between them. */
async function listen(engine: Engine, timeoutMs = 5_000): Promise<{ heard: unknown[]; said: Record<string, unknown>[] }> {
  const heard: unknown[] = [];
  const said: Record<string, unknown>[] = [];
  const note = (facts: unknown): void => void said.push(facts as Record<string, unknown>);
  const log = { trace: note, debug: note, info: note, warn: note, error: note } as unknown as Logger;
  const { zmq, replay } = await engine.open();
  const nameOf = (payload: Uint8Array | undefined): unknown => {
    const [event] = decodeEngineBatch(payload as Uint8Array).events;
    return event?.type === 'removed' ? Number(event.hashes[0]) : event;
  };
  stack.use(
    await openEngineSocket(
      { zmq, replay: { zmq: replay, timeoutMs } },
      { onMessage: ([, , payload]) => void heard.push(nameOf(payload)), onRestart: () => void heard.push('restart'), log },
    ),
  );
  // A subscription takes effect a moment after it was made.
  await vi.waitFor(async () => {
    await engine.publisher.send(['', frame(0), batch(0)]);
    expect(heard).toContain(0);
  }, 10_000);
  return { heard, said };
}

const reach = (heard: unknown[], name: unknown): Promise<void> => vi.waitFor(() => expect(heard).toContain(name), 10_000);

test('a gap is filled from the replay socket before what came behind it', async () => {
  const engine = new Engine();
  const { heard, said } = await listen(engine);
  for (const sequence of [1, 2, 3, 4]) engine.kept.set(sequence, batch(sequence));
  await engine.send(3);
  await engine.send(4);
  await reach(heard, 4);
  expect(heard).toEqual([0, 1, 2, 3, 4]);
  expect(engine.asked).toEqual([1n]);
  expect(said.at(-1)).toMatchObject({ start: 1n, end: 3n, missed: 0n });
});

test('what the engine no longer has is said, and the rest is applied in order', async () => {
  const engine = new Engine();
  const { heard, said } = await listen(engine);
  for (const sequence of [3, 5]) engine.kept.set(sequence, batch(sequence));
  await engine.send(6);
  await reach(heard, 6);
  expect(heard).toEqual([0, 3, 5, 6]);
  expect(said.at(-1)).toMatchObject({ start: 1n, end: 6n, missed: 3n, lost: 3n, why: 'the engine no longer has them' });
});

test('an engine that starts again begins with an empty cache, and its first messages are asked for', async () => {
  const engine = new Engine();
  const { heard } = await listen(engine);
  await engine.send(1);
  await engine.send(2);
  await reach(heard, 2);
  engine.kept.set(0, batch(100));
  await engine.send(1, 101);
  await engine.send(1, 101);
  await engine.send(2, 102);
  await reach(heard, 102);
  expect(heard).toEqual([0, 1, 2, 'restart', 100, 101, 102]);
});

test('a replay socket that says nothing holds the events up for its time and no longer', async () => {
  const engine = new Engine();
  const { heard, said } = await listen(engine, 100);
  engine.silent = true;
  await engine.send(2);
  await engine.send(3);
  await reach(heard, 3);
  expect(heard).toEqual([0, 2, 3]);
  expect(engine.asked).toEqual([1n]);
  expect(said.at(-1)).toMatchObject({ missed: 1n, why: 'the replay socket said nothing for 100 ms' });
});

test('closing does not wait for a silent replay socket', async () => {
  const engine = new Engine();
  const { heard } = await listen(engine, 600_000);
  engine.silent = true;
  await engine.send(2);
  await vi.waitFor(() => expect(engine.asked).toEqual([1n]), 10_000);
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
  expect(heard).toEqual([0]);
});
