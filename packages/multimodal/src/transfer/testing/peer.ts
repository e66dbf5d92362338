/** The other end of a transfer, in a process of its own that a test can kill. */
import { connect } from 'node:net';
import { decodeAgentMetadata } from '../../wire/agent-metadata.ts';
import { decodeRdmaMetadata, encodeRdmaMetadata } from '../../wire/rdma-metadata.ts';
import { Connector } from '../connector.ts';
import { Descriptor } from '../descriptor.ts';
import { TcpTransfer } from '../tcp/index.ts';
import { encodeFrame } from '../tcp/frame.ts';

const size = 64 * 1024 * 1024;
const [task, text = ''] = process.argv.slice(2);
const say = (message: string): unknown => process.send?.(message);

if (task === 'share') {
  const readable = await new Connector().createReadable(new Descriptor(Uint8Array.from({ length: 1000 }, (_, at) => at % 251)));
  say(encodeRdmaMetadata(readable.metadata));
} else if (task === 'share-slowly') {
  // Tells once a reader has begun; the process is killed while the rest is on its way.
  const open = (options: { name: string }): TcpTransfer => {
    const transfer = new TcpTransfer(options);
    const register = transfer.register.bind(transfer);
    transfer.register = (bytes, access) => register(new Proxy(bytes, { get: reached }), access);
    return transfer;
  };
  const reached = (bytes: Uint8Array, name: string | symbol): unknown => {
    if (name === 'subarray') say('begun');
    const value: unknown = Reflect.get(bytes, name, bytes);
    return typeof value === 'function' ? value.bind(bytes) : value;
  };
  const readable = await new Connector({ transfer: open }).createReadable(new Descriptor(new Uint8Array(size)));
  say(encodeRdmaMetadata(readable.metadata));
} else {
  const metadata = decodeRdmaMetadata(text);
  const { host, port, token } = JSON.parse(Buffer.from(decodeAgentMetadata(metadata.agent).bytes).toString()) as {
    host: string;
    port: number;
    token: string;
  };
  const socket = connect(port, host);
  socket.write(encodeFrame({ op: 'write', token, notif: metadata.notificationKey, regions: metadata.descriptors }));
  socket.once('data', () => {
    socket.write(encodeFrame({ op: 'data' }));
    socket.write(Buffer.alloc(size / 2), () => say('half'));
  });
}
