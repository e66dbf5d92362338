import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Deadline } from './deadline.ts';

const busy = (ms: number): void => {
  for (const until = performance.now() + ms; performance.now() < until;);
};

test('it passes once, unless it is stopped or begins anew', async () => {
  const passed: string[] = [];
  const kept = new Deadline(20, () => passed.push('kept'));
  const stopped = new Deadline(20, () => passed.push('stopped'));
  const renewed = new Deadline(40, () => passed.push('renewed'));
  for (const deadline of [kept, stopped, renewed]) deadline.start();
  stopped.stop();
  for (let i = 0; i < 5; i++) {
    await sleep(10);
    renewed.start();
  }
  renewed.stop();
  await expect.poll(() => passed).toEqual(['kept']);
  await sleep(50);
  expect(passed).toEqual(['kept']);
});

test('what came while the event loop was busy is read before the limit passes', async () => {
  const server = createServer((socket) => {
    socket.write('in time');
    // The byte is with the kernel; the loop wakes up with both the timer and the socket ready.
    busy(60);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const order: string[] = [];
  const deadline = new Deadline(30, () => order.push('late'));
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.once('data', () => {
    order.push('read');
    deadline.stop();
  });
  deadline.start();
  await once(socket, 'data');
  await sleep(20);
  expect(order).toEqual(['read']);
  socket.destroy();
  server.close();
});
