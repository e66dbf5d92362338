import { getEventListeners } from 'node:events';
import { array, assert, nat, property, tuple, constantFrom } from 'fast-check';
import { expect, test } from 'vitest';
import { DynamoError } from '../error.ts';
import { CancellationToken, linkSignals } from './cancellation.ts';

const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

test('a linked signal aborts with the first reason and lets go of every other signal', () => {
  const [long, short] = [new AbortController(), new AbortController()];
  const linked = linkSignals(long.signal, undefined, short.signal, short.signal);
  expect([listeners(long.signal), listeners(short.signal)]).toEqual([1, 1]);
  short.abort('short');
  long.abort('long');
  expect(linked.signal.reason).toBe('short');
  expect([listeners(long.signal), listeners(short.signal)]).toEqual([0, 0]);
});

test('a disposed link leaves no listener and never aborts', () => {
  const long = new AbortController();
  for (let i = 0; i < 1_000; i++) {
    using linked = linkSignals(long.signal, new AbortController().signal);
    expect(linked.signal.aborted).toBe(false);
  }
  const linked = linkSignals(long.signal);
  linked[Symbol.dispose]();
  expect(listeners(long.signal)).toBe(0);
  long.abort();
  expect(linked.signal.aborted).toBe(false);
});

test('a signal that has aborted already is heard at once, and the signals before it are let go', () => {
  const [alive, later] = [new AbortController(), new AbortController()];
  const linked = linkSignals(alive.signal, AbortSignal.abort('early'), later.signal);
  expect(linked.signal.reason).toBe('early');
  expect([listeners(alive.signal), listeners(later.signal)]).toEqual([0, 0]);
});

test('cancelling reaches what is below, with its reason, and nothing above or beside', () => {
  const root = new CancellationToken();
  const [left, right] = [root.child(), root.child()];
  const leaf = left.child();
  left.cancel('why');
  expect([root, left, right, leaf].map((token) => token.cancelled)).toEqual([false, true, false, true]);
  expect(leaf.signal.reason).toBe('why');
  left.cancel('again');
  expect(left.signal.reason).toBe('why');
  expect(left.child().signal.reason).toBe('why');
  root.cancel();
  expect(DynamoError.is(right.signal.reason, 'cancelled')).toBe(true);
});

test('a child leaves its parent when it is cancelled or disposed', () => {
  const root = new CancellationToken();
  for (let i = 0; i < 100; i++) root.child().cancel();
  for (let i = 0; i < 100; i++) {
    using _child = root.child();
  }
  expect(root.children).toBe(0);
  const kept = root.child();
  expect(root.children).toBe(1);
  root.cancel();
  expect([root.children, kept.cancelled]).toEqual([0, true]);
});

test('disposing a branch keeps its leaves in the tree', () => {
  const root = new CancellationToken();
  const branch = root.child();
  const leaf = branch.child();
  branch[Symbol.dispose]();
  branch.cancel();
  expect([leaf.cancelled, root.children]).toEqual([false, 1]);
  root.cancel('up');
  expect(leaf.signal.reason).toBe('up');
});

test('listeners that cancel, make and dispose tokens of the same tree find it in order', () => {
  const root = new CancellationToken();
  const [first, second, third] = [root.child(), root.child(), root.child()];
  let late: CancellationToken | undefined;
  first.signal.addEventListener('abort', () => {
    second[Symbol.dispose]();
    third.cancel('by the first');
    late = root.child();
  });
  root.cancel('root');
  expect([second.cancelled, third.signal.reason, late?.signal.reason, root.children]).toEqual([false, 'by the first', 'root', 0]);
});

test('a token of a signal follows it until it is disposed', () => {
  const abort = new AbortController();
  const token = CancellationToken.from(abort.signal);
  const child = token.child();
  const disposed = CancellationToken.from(abort.signal);
  expect(listeners(abort.signal)).toBe(2);
  disposed[Symbol.dispose]();
  expect(listeners(abort.signal)).toBe(1);
  abort.abort('signal');
  expect([child.signal.reason, disposed.cancelled, listeners(abort.signal)]).toEqual(['signal', false, 0]);
  expect(CancellationToken.from(abort.signal).signal.reason).toBe('signal');
  const own = CancellationToken.from(new AbortController().signal);
  own.cancel('own');
  expect(own.signal.reason).toBe('own');
});

test('waiting ends with the cancelling, or with the reason of the own signal, and leaves no listener', async () => {
  const token = new CancellationToken();
  const abort = new AbortController();
  const left = token.whenCancelled({ signal: abort.signal });
  const done = token.whenCancelled();
  abort.abort(new Error('left'));
  await expect(left).rejects.toThrow('left');
  expect([listeners(token.signal), listeners(abort.signal)]).toEqual([1, 0]);
  token.cancel();
  await done;
  await token.whenCancelled();
  expect(listeners(token.signal)).toBe(0);
  await expect(token.whenCancelled({ signal: abort.signal })).rejects.toThrow('left');
});

test('any order of making, cancelling and disposing agrees with a plain tree', () => {
  const steps = array(tuple(constantFrom('child', 'cancel', 'dispose'), nat()), { maxLength: 60 });
  assert(
    property(steps, (taken) => {
      interface Node {
        token: CancellationToken;
        parent: Node | undefined;
        cancelled: boolean;
      }
      const nodes: Node[] = [{ token: new CancellationToken(), parent: undefined, cancelled: false }];
      const below = (node: Node): Node[] => nodes.filter((other) => other.parent === node);
      const cancel = (node: Node): void => {
        const hanging = below(node);
        Object.assign(node, { cancelled: true, parent: undefined });
        for (const child of hanging) cancel(child);
      };
      for (const [step, at] of taken) {
        const node = nodes[at % nodes.length]!;
        if (step === 'child') nodes.push({ token: node.token.child(), parent: node.cancelled ? undefined : node, cancelled: node.cancelled });
        if (step === 'cancel') {
          if (!node.cancelled) cancel(node);
          node.token.cancel();
        }
        if (step === 'dispose') {
          for (const child of below(node)) child.parent = node.parent;
          node.parent = undefined;
          node.token[Symbol.dispose]();
        }
      }
      expect(nodes.map(({ token }) => [token.cancelled, token.children])).toEqual(nodes.map((node) => [node.cancelled, below(node).length]));
    }),
    { numRuns: 300 },
  );
});
