import type { IncomingMessage } from 'node:http';
import { DynamoError } from '@dynamo/runtime';
import type { RealtimeSession, Socket } from './session.ts';
import type { Upgrade } from './upgrade.ts';

/** Largest frame of a client's, in bytes. */
const largestFrame = 16 * 1024 * 1024;

/** Accepts a websocket and carries the frames of one session; resolves when it has closed and its worker has ended. */
export async function carrySession(
  request: IncomingMessage,
  { socket, head }: Upgrade,
  begin: (socket: Socket) => { readonly session: RealtimeSession; readonly cut: (close: () => void) => Disposable | undefined },
): Promise<void> {
  // Loaded for the first socket: most frontends never see one.
  const { WebSocketServer } = await import('ws');
  const accepting = new WebSocketServer({ noServer: true, maxPayload: largestFrame });
  await new Promise<void>((resolve) => {
    socket.once('close', resolve);
    accepting.handleUpgrade(request, socket, head, (web) => {
      const { session, cut } = begin({
        send: (text) => new Promise((sent) => web.send(text, () => sent())),
        close: (code, reason) => web.close(code, reason),
        flow: (open) => (open ? web.resume() : web.pause()),
      });
      const cutting = cut(() => web.close(1001, 'the frontend shuts down'));
      web.on('message', (data, isBinary) => (isBinary ? session.binary() : session.text(String(data))));
      web.on('error', () => web.terminate());
      web.on('close', () => {
        cutting?.[Symbol.dispose]();
        session.left(new DynamoError('cancelled', 'the client left'));
        void session.running.then(resolve);
      });
    });
  });
}
