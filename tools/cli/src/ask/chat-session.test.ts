import { PassThrough } from 'node:stream';
import { DynamoError } from '@dynamo/runtime';
import { expect, test, vi } from 'vitest';
import { ChatSession, type ChatSessionOptions } from './chat-session.ts';

const piece = (text: string, thought = ''): { text: string; thought: string; finish: undefined; usage: undefined } => ({
  text,
  thought,
  finish: undefined,
  usage: undefined,
});

/** A chat over streams; `written` is what it has written so far. */
function open(answer: ChatSessionOptions['answer']): { input: PassThrough; session: ChatSession; written: () => string; done: Promise<void> } {
  const [input, output] = [new PassThrough(), new PassThrough()];
  let text = '';
  output.setEncoding('utf8').on('data', (part: string) => (text += part));
  const session = new ChatSession({ input, output, terminal: false, answer });
  return { input, session, written: () => text, done: session.run() };
}

test('each turn is asked with all before it, and thoughts are not shown where nobody sits', async () => {
  const asked: string[] = [];
  const { input, written, done } = open(async function* (turns) {
    asked.push(turns.map(({ role, content }) => `${role[0]}:${content}`).join(' '));
    yield piece('', 'hm');
    yield piece('ye');
    yield piece('s');
  });
  input.end('one\n\n   \ntwo\n');
  await done;
  expect(asked).toEqual(['u:one', 'u:one a:yes u:two']);
  expect(written()).toBe('yes\nyes\n');
});

test('an interruption ends the answer, and the next one the chat', async () => {
  const signals: AbortSignal[] = [];
  const { input, session, written, done } = open(async function* (turns, signal) {
    signals.push(signal);
    yield piece(`to ${turns.length}`);
    await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new DynamoError('cancelled', 'stopped'))));
  });
  input.write('one\n');
  await vi.waitFor(() => expect(written()).toBe('to 1'));
  session.interrupt();
  await vi.waitFor(() => expect(written()).toBe('to 1 ^C\n'));
  // What had been said is part of the conversation.
  input.write('two\n');
  await vi.waitFor(() => expect(written()).toContain('to 3'));
  session.interrupt();
  session.interrupt();
  await done;
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
});

test('an interruption while nothing runs ends the chat', async () => {
  const { session, done } = open(async function* () {
    yield piece('never');
  });
  session.interrupt();
  await done;
});

test('a failure is told of, and the turn can be tried again', async () => {
  const asked: number[] = [];
  const { input, written, done } = open(async function* (turns) {
    asked.push(turns.length);
    if (asked.length === 1) throw new DynamoError('unavailable', 'nobody is there');
    yield piece('back');
  });
  input.end('one\ntwo\n');
  await done;
  expect(written()).toBe('\n[nobody is there]\nback\n');
  expect(asked).toEqual([1, 1]);
});
