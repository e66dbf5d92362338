import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { startProxy } from './proxy.ts';

async function echo() {
  const server = createServer((socket) => socket.on('error', () => {}).pipe(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy = await startProxy((server.address() as { port: number }).port);
  const open = async (): Promise<Socket> => {
    const socket = connect(proxy.port, '127.0.0.1');
    socket.on('error', () => {});
    await once(socket, 'connect');
    return socket;
  };
  return {
    proxy,
    open,
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      server.close();
    },
  };
}

const answer = async (socket: Socket, text: string): Promise<string> => {
  socket.write(text);
  return String((await once(socket, 'data'))[0]);
};

test('bytes pass both ways, cut breaks off and new connections work', async () => {
  await using at = await echo();
  const first = await at.open();
  expect(await answer(first, 'one')).toBe('one');
  const closed = new Promise((resolve) => first.once('close', resolve));
  at.proxy.cut();
  await closed;
  expect(await answer(await at.open(), 'two')).toBe('two');
});

test('what is refused is closed, and taken again after mend', async () => {
  await using at = await echo();
  at.proxy.refuse();
  const socket = await at.open();
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
  at.proxy.mend();
  expect(await answer(await at.open(), 'again')).toBe('again');
});

test('paused bytes and late bytes arrive in order', async () => {
  await using at = await echo();
  const socket = await at.open();
  const parts: string[] = [];
  socket.on('data', (bytes) => parts.push(String(bytes)));
  at.proxy.pause();
  socket.write('a');
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(parts).toEqual([]);
  at.proxy.resume();
  at.proxy.delayMs = 30;
  socket.write('b');
  await new Promise((resolve) => setTimeout(resolve, 5));
  at.proxy.delayMs = 0;
  socket.write('c');
  await expect.poll(() => parts.join('')).toBe('abc');
});
