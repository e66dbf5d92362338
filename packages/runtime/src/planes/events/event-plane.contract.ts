import { getEventListeners } from 'node:events';
import { beforeAll, expect, test } from 'vitest';
import { batchesOf } from '../../async/batches.ts';
import type { Skipped } from '../testing/stage.ts';
import type { EventChange, EventPlane, EventPublisher, EventScope } from './event-plane.ts';
import { Listener, openDescriptors } from './testing/listener.ts';

/** A publisher that sends what no implementation would. */
export interface BarePublisher extends AsyncDisposable {
  readonly id: bigint;
  send(sequence: number, payload?: string): void;
  /** Sends bytes that are no message, where those of one belong. */
  garble(): void;
}

/** Planes of two runtimes that hear each other. */
export interface EventStage extends AsyncDisposable {
  readonly speaking: EventPlane;
  readonly hearing: EventPlane;
  /** Warnings of both. */
  readonly lines: readonly string[];
  bare(scope: EventScope, topic: string): Promise<BarePublisher>;
}

/** What a plane's test gives. */
export interface EventPlaneContract {
  readonly open: (options?: { capacity?: number }) => Promise<EventStage>;
  /** Publishers are known only from what they send. */
  readonly greets?: boolean;
  readonly skip: readonly Skipped[];
}

const scope = { namespace: 'ns', component: 'backend', endpoint: 'generate' };
const topic = 'kv-events';
const bytes = (text: string): Uint8Array => Buffer.from(text);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** What every event plane promises. */
export function eventPlaneContract(contract: EventPlaneContract): void {
  const greet = (publisher: EventPublisher): (() => number) | undefined =>
    contract.greets === true ? () => publisher.publish(bytes('hello')) : undefined;
  /** A bare publisher's next number, for greetings. */
  const bareGreet = (bare: BarePublisher, next: { at: number }): (() => number) | undefined =>
    contract.greets === true ? () => (bare.send(next.at), next.at++) : undefined;

  // What a library keeps for ever it has after this.
  beforeAll(async () => {
    await using stage = await contract.open();
    await using publisher = await stage.speaking.publish(scope, topic);
    await using listener = new Listener(stage.hearing, scope, topic);
    await listener.meet(publisher.id, greet(publisher));
  });

  const check = (name: string, body: (stage: EventStage) => Promise<void>, options?: { capacity?: number }): void => {
    const skipped = contract.skip.find((entry) => entry.case === name);
    test.skipIf(skipped !== undefined)(skipped === undefined ? name : `${name} (${skipped.reason})`, async () => {
      const before = openDescriptors();
      {
        await using stage = await contract.open(options);
        await body(stage);
      }
      await expect.poll(openDescriptors, { timeout: 5_000 }).toBeLessThanOrEqual(before);
    });
  };

  /** One publisher that one listener hears; `first` is the number of its next message. */
  async function met(stage: EventStage) {
    await using undo = new AsyncDisposableStack();
    const publisher = undo.use(await stage.speaking.publish(scope, topic));
    const listener = undo.use(new Listener(stage.hearing, scope, topic));
    await listener.meet(publisher.id, greet(publisher));
    const first = publisher.publish(bytes('first'));
    await listener.until(() => listener.sequences().at(-1) === first);
    listener.changes.length = 0;
    const kept = undo.move();
    return { publisher, listener, first: first + 1, [Symbol.asyncDispose]: () => kept.disposeAsync() };
  }

  check('messages arrive as they were sent: in order, numbered, with their time, whatever their size', async (stage) => {
    await using pair = await met(stage);
    const sizes = [0, 1, 100, 127, 128, 255, 256, 1_000, 65_535, 65_536, 300_000];
    const before = Date.now();
    for (const size of sizes) pair.publisher.publish(new Uint8Array(size).fill(size % 251));
    await pair.listener.until(() => pair.listener.changes.length === sizes.length);
    for (const [index, change] of pair.listener.changes.entries()) {
      const size = sizes[index] ?? 0;
      expect(change).toMatchObject({ type: 'event', publisher: pair.publisher.id, sequence: pair.first + index });
      if (change.type !== 'event') throw new Error('it is an event');
      expect(change.publishedAt).toBeGreaterThanOrEqual(before);
      expect(Buffer.from(change.payload).equals(Buffer.alloc(size, size % 251))).toBe(true);
    }
    expect(pair.publisher.id < 1n << 53n).toBe(true);
  });

  check('ten thousand at once arrive without loss, and in batches', async (stage) => {
    await using pair = await met(stage);
    const already = pair.listener.batches;
    for (const i of upTo(10_000)) pair.publisher.publish(bytes(`event ${i}`));
    await pair.listener.until(() => pair.listener.changes.length >= 10_000);
    expect(pair.listener.sequences()).toEqual(upTo(10_000).map((i) => pair.first + i));
    expect(pair.listener.words().at(-1)).toBe(`event ${pair.first + 9_999} event 9999`);
    expect(pair.listener.batches - already).toBeLessThan(5_000);
    expect(stage.hearing.counts).toMatchObject({ missed: 0, overflowed: 0, malformed: 0 });
  });

  check("the sender's and the reader's bytes are their own", async (stage) => {
    await using pair = await met(stage);
    const payload = Buffer.from('as it was sent');
    pair.publisher.publish(payload);
    payload.fill(0);
    await pair.listener.until(() => pair.listener.changes.length === 1);
    for (const i of upTo(1_000)) pair.publisher.publish(bytes(`another ${i}`));
    await pair.listener.until(() => pair.listener.changes.length === 1_001);
    expect(pair.listener.words()[0]).toBe(`event ${pair.first} as it was sent`);
  });

  check('who comes late hears what is sent from then on, and no gap', async (stage) => {
    await using publisher = await stage.speaking.publish(scope, topic);
    for (const i of upTo(5)) publisher.publish(bytes(`early ${i}`));
    await using listener = new Listener(stage.hearing, scope, topic);
    await listener.until(() => {
      if (contract.greets === true) publisher.publish(bytes('hello'));
      return listener.changes.length > 0;
    });
    expect(listener.words()[0]).toBe('joined');
    const late = publisher.publish(bytes('late'));
    await listener.until(() => listener.sequences().at(-1) === late);
    expect(late).toBeGreaterThanOrEqual(5);
    expect(listener.words().filter((words) => !words.startsWith('event'))).toEqual(['joined']);
  });

  check('two publishers have numbers and an order of their own', async (stage) => {
    await using pair = await met(stage);
    await using other = await stage.hearing.publish(scope, topic);
    await pair.listener.meet(other.id, greet(other));
    const from = other.publish(bytes('0')) + 1;
    for (const i of upTo(200)) for (const publisher of [pair.publisher, other]) publisher.publish(bytes(`${i}`));
    await pair.listener.until(() => pair.listener.changes.length === 401);
    expect(pair.listener.words(pair.publisher.id)).toEqual(upTo(200).map((i) => `event ${pair.first + i} ${i}`));
    expect(pair.listener.words(other.id).slice(1)).toEqual(upTo(200).map((i) => `event ${from + i} ${i}`));
  });

  check('every subscriber hears everything, whoever else leaves', async (stage) => {
    await using pair = await met(stage);
    await using second = new Listener(stage.hearing, scope, topic);
    await second.meet(pair.publisher.id, greet(pair.publisher));
    pair.listener.changes.length = 0;
    const sent = pair.publisher.publish(bytes('both'));
    await pair.listener.until(() => pair.listener.sequences().at(-1) === sent);
    await second.until(() => second.sequences().at(-1) === sent);
    await second[Symbol.asyncDispose]();
    const next = pair.publisher.publish(bytes('one'));
    await pair.listener.until(() => pair.listener.sequences().at(-1) === next);
    expect(second.sequences().at(-1)).toBe(sent);
  });

  check('a publisher that leaves is told of after its last message', async (stage) => {
    await using pair = await met(stage);
    for (const i of upTo(100)) pair.publisher.publish(bytes(`${i}`));
    await Promise.all([pair.publisher[Symbol.asyncDispose](), pair.publisher[Symbol.asyncDispose]()]);
    await pair.listener.until(() => pair.listener.words().at(-1) === 'left');
    expect(pair.listener.words()).toEqual([...upTo(100).map((i) => `event ${pair.first + i} ${i}`), 'left']);
    expect(() => pair.publisher.publish(bytes(''))).toThrow(expect.objectContaining({ code: 'unavailable' }));
  });

  check('a subscriber that leaves in the middle leaves nothing behind', async (stage) => {
    // Whatever connects while nobody listens has connected.
    await using pair = await met(stage);
    const before = openDescriptors();
    const stop = new AbortController();
    const sending = setInterval(() => pair.publisher.publish(bytes('again')), 1);
    for await (const change of stage.hearing.subscribe(scope, topic, { signal: stop.signal })) if (change.type === 'event') break;
    clearInterval(sending);
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0);
    await expect.poll(openDescriptors).toBeLessThanOrEqual(before);
  });

  check('an abort ends the loop, at once and before it begins', async (stage) => {
    await using pair = await met(stage);
    const stop = new AbortController();
    const heard: EventChange[] = [];
    const reading = (async () => {
      for await (const change of stage.hearing.subscribe(scope, topic, { signal: stop.signal })) heard.push(change);
    })();
    await expect.poll(() => (pair.publisher.publish(bytes('x')), heard.length)).toBeGreaterThan(0);
    stop.abort();
    await reading;
    for await (const _ of stage.hearing.subscribe(scope, topic, { signal: stop.signal })) throw new Error('it was over');
  });

  check('the end of a plane ends its subscriptions and its publishers', async (stage) => {
    const publisher = await stage.hearing.publish(scope, topic);
    await using listener = new Listener(stage.hearing, scope, topic);
    await listener.meet(publisher.id, greet(publisher));
    await stage.hearing[Symbol.asyncDispose]();
    await listener.ended;
    expect(() => publisher.publish(bytes(''))).toThrow(expect.objectContaining({ code: 'unavailable' }));
    await expect(stage.hearing.publish(scope, topic)).rejects.toMatchObject({ code: 'unavailable' });
    for await (const _ of stage.hearing.subscribe(scope, topic, { signal: new AbortController().signal })) throw new Error('it was over');
  });

  check('namespace, component and endpoint are three places, and a topic that begins like another is another', async (stage) => {
    const odd = { namespace: 'a.b/c', component: 'é %2F', endpoint: '*.>' };
    const places = [
      { scope: { namespace: 'ns' }, topic },
      { scope: { namespace: 'ns', component: 'backend' }, topic },
      { scope, topic },
      { scope, topic: 'kv' },
      { scope, topic: 'kv-events.more' },
      { scope: odd, topic: 'odd topic/é' },
    ];
    await using stack = new AsyncDisposableStack();
    const pairs = await Promise.all(
      places.map(async (place) => ({
        publisher: stack.use(await stage.speaking.publish(place.scope, place.topic)),
        listener: stack.use(new Listener(stage.hearing, place.scope, place.topic)),
      })),
    );
    for (const { publisher, listener } of pairs) await listener.meet(publisher.id, greet(publisher));
    for (const [index, { publisher }] of pairs.entries()) publisher.publish(bytes(`to ${index}`));
    for (const [index, { publisher, listener }] of pairs.entries()) {
      await listener.until(() => listener.words().at(-1)?.endsWith(`to ${index}`) === true);
      expect(new Set(listener.changes.map((change) => change.publisher))).toEqual(new Set([publisher.id]));
      expect(listener.changes).toHaveLength(1);
    }
  });

  check('what does not arrive is told as a gap', async (stage) => {
    await using bare = await stage.bare(scope, topic);
    await using listener = new Listener(stage.hearing, scope, topic);
    const next = { at: 0 };
    await listener.meet(bare.id, bareGreet(bare, next));
    const [a, b, c] = [next.at + 10, next.at + 11, next.at + 15];
    bare.send(a - 10);
    listener.changes.length = 0;
    for (const sequence of [a, b, c]) bare.send(sequence, 'x');
    await listener.until(() => listener.sequences().at(-1) === c);
    expect(listener.words().slice(-5)).toEqual([`gap ${a - 9}-${a}`, `event ${a} x`, `event ${b} x`, `gap ${b + 1}-${c}`, `event ${c} x`]);
    expect(stage.hearing.counts.missed).toBe(9 + 3);
  });

  check('a publisher that begins anew is told as joined again, and a beginning that was missed as a gap', async (stage) => {
    await using bare = await stage.bare(scope, topic);
    await using listener = new Listener(stage.hearing, scope, topic);
    const next = { at: 0 };
    await listener.meet(bare.id, bareGreet(bare, next));
    for (const sequence of [next.at + 7, 0, 1, 3, 2]) bare.send(sequence, 'x');
    await listener.until(() => listener.sequences().at(-1) === 2);
    expect(listener.words().slice(-8)).toEqual(['joined', 'event 0 x', 'event 1 x', 'gap 2-3', 'event 3 x', 'joined', 'gap 0-2', 'event 2 x']);
  });

  check(
    'a reader that is too slow finds a gap, then the newest',
    async (stage) => {
      await using publisher = await stage.speaking.publish(scope, topic);
      await using watching = new Listener(stage.hearing, scope, topic);
      const stop = new AbortController();
      const slow = batchesOf(stage.hearing.subscribe(scope, topic, { signal: stop.signal, capacity: 10 }))[Symbol.asyncIterator]();
      let first = slow.next();
      let settled = false;
      void first.then(() => (settled = true));
      await watching.meet(publisher.id, greet(publisher));
      await expect.poll(() => (contract.greets === true && publisher.publish(bytes('hello')), settled)).toBe(true);
      // From here on it does not read.
      let last = 0;
      for (const i of upTo(1_000)) last = publisher.publish(bytes(`${i}`));
      await watching.until(() => watching.sequences().at(-1) === last);
      await expect.poll(() => stage.hearing.counts.overflowed).toBeGreaterThanOrEqual(980);
      const heard: EventChange[] = [];
      while (!heard.some((change) => change.type === 'event' && change.sequence === last)) {
        heard.push(...(((await first).value as readonly EventChange[] | undefined) ?? []));
        first = slow.next();
      }
      const missed = heard.find((change) => change.type === 'gap');
      const newest = heard.flatMap((change) => (change.type === 'event' ? change.sequence : [])).slice(-10);
      expect(newest).toEqual(upTo(10).map((i) => last - 9 + i));
      expect(missed).toMatchObject({ publisher: publisher.id, to: last - 9 });
      stop.abort();
      await first;
    },
    { capacity: 5_000 },
  );

  check('what is no message is counted, told in one line a publisher, and passed over', async (stage) => {
    await using bare = await stage.bare(scope, topic);
    await using listener = new Listener(stage.hearing, scope, topic);
    const next = { at: 0 };
    await listener.meet(bare.id, bareGreet(bare, next));
    for (let i = 0; i < 5; i++) bare.garble();
    bare.send(next.at, 'fine');
    await listener.until(() => listener.words().at(-1) === `event ${next.at} fine`);
    expect(stage.hearing.counts.malformed).toBe(5);
    expect(stage.lines.filter((line) => line.startsWith('ignored an event'))).toHaveLength(1);
  });
}
