import { maxHeaderSize } from 'node:http';
import type { Socket } from 'node:net';
import { failure, type Failure } from './errors.ts';

/** Answers what never became a request: too slow, too many headers, no HTTP. The connection ends with it. */
export const answerBrokenRequests =
  (limits: { readonly requestMs: number }) =>
  (error: NodeJS.ErrnoException, socket: Socket): void => {
    if (error.code === 'ECONNRESET' || socket.destroyed) return;
    const { status, body } = toldOf(error, limits);
    const text = JSON.stringify(body);
    const head = [
      `HTTP/1.1 ${status} ${body.type}`,
      'content-type: application/json',
      `content-length: ${Buffer.byteLength(text)}`,
      'connection: close',
      '\r\n',
    ];
    // Ends after what was written has gone out; a client that reads nothing is not waited for.
    if (socket.writable) socket.write(head.join('\r\n') + text, () => socket.destroy());
    else socket.destroy();
  };

function toldOf({ code }: NodeJS.ErrnoException, { requestMs }: { requestMs: number }): Failure {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return failure(408, `The request was not received within ${requestMs} ms, or its headers within a minute (DYN_HTTP_REQUEST_TIMEOUT_SECS)`);
  if (code === 'HPE_HEADER_OVERFLOW') return failure(431, `The request's headers exceed ${maxHeaderSize} bytes`);
  return failure(400, 'Invalid request');
}
