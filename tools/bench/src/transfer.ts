import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Connector, decodeRdmaMetadata, Descriptor } from '@dynamo/multimodal/internal';
import { median } from './median.ts';

/** What the other process offers: memory to read, memory to write, and a bare socket that sends as many bytes. */
export interface Offered {
  readonly readable: string;
  readonly writable: string;
  readonly port: number;
}

/** Bytes of one movement. */
const size = 256 * 1024 * 1024;

/** GB/s between two processes on loopback: a bare socket, a read and a write of the same bytes, in turns. */
export async function transfer(options: { rounds: number }): Promise<void> {
  const peer = fork(fileURLToPath(new URL('transfer-peer.ts', import.meta.url)), [String(size)], { execArgv: ['--conditions=@dynamo/source'] });
  const offered = await heard(peer);
  await using connector = new Connector();
  const local = new Descriptor(new Uint8Array(size));
  const lanes: Record<string, () => Promise<void>> = {
    'bare socket': () => drain(offered.port),
    read: async () => {
      using read = connector.beginRead(decodeRdmaMetadata(offered.readable), local);
      await read.wait();
    },
    write: async () => {
      using write = connector.beginWrite(local, decodeRdmaMetadata(offered.writable));
      await write.wait();
    },
  };
  const seen: Record<string, number[]> = Object.fromEntries(Object.keys(lanes).map((name) => [name, []]));
  for (let round = -1; round < options.rounds; round++) {
    for (const [name, move] of Object.entries(lanes)) {
      const start = performance.now();
      await move();
      // The first round warms up.
      if (round >= 0) seen[name]?.push(size / (performance.now() - start) / 1e6);
    }
  }
  const bare = median(seen['bare socket'] as number[]);
  for (const [name, rates] of Object.entries(seen)) {
    const rate = median(rates);
    console.log(`${name.padEnd(12)} ${rate.toFixed(2)} GB/s   ${(rate / bare).toFixed(2)} of the bare socket`);
  }
  peer.kill();
}

async function heard(peer: ChildProcess): Promise<Offered> {
  const [message] = (await once(peer, 'message')) as [Offered];
  return message;
}

/** Takes everything that a plain socket gives, and lets it go. */
async function drain(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  socket.resume();
  await once(socket, 'close');
}
