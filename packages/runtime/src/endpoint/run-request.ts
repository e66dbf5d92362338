import { batchesOf } from '../async/batches.ts';
import { DynamoError } from '../error.ts';
import type { Logger } from '../log.ts';
import type { IncomingRequest } from '../planes/request/tcp/listen.ts';
import { callHome } from '../planes/response/tcp/dial.ts';
import { codecs } from '../wire/codec.ts';
import { type ControlMessage, decodeControl } from '../wire/control.ts';
import { decodeTwoPart } from '../wire/two-part.ts';
import type { Handler } from './handler.ts';

/** A request whose envelope has been read. */
export interface OpenedRequest {
  readonly control: ControlMessage;
  readonly body: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

/** Opens a request's envelope; refuses with a text what the caller could never hear the answer of. */
export function openRequest(request: IncomingRequest): OpenedRequest | { readonly refusal: string } {
  try {
    const { header, body } = decodeTwoPart(request.payload);
    const control = decodeControl(header);
    if (control.transport !== 'tcp_server') {
      return {
        refusal: `Server unavailable: response plane mismatch: frontend requested ${control.transport.replace('-response', '')}, worker configured tcp`,
      };
    }
    if (control.requestType === 'many_in') return { refusal: 'Server unavailable: this endpoint takes one request item, not a stream' };
    return { control, body, headers: request.headers };
  } catch (error) {
    return { refusal: `Invalid request: ${error instanceof Error ? error.message : String(error)}` };
  }
}

/** Runs a handler on one request and streams its items home. Never rejects: what goes wrong reaches the caller. */
export async function runRequest(
  handler: Handler<unknown, unknown>,
  opened: OpenedRequest,
  options: { signal: AbortSignal; connectMs: number; log: Logger },
): Promise<void> {
  const { control, headers } = opened;
  const cancelled = new AbortController();
  const cancel = (how: 'stop' | 'kill'): void => cancelled.abort(new DynamoError('cancelled', `the caller sent ${how}`, { data: { kind: how } }));
  const onShutdown = (): void => cancelled.abort(options.signal.reason);
  options.signal.addEventListener('abort', onShutdown, { once: true });
  try {
    const writer = callHome({ to: control.response, codec: control.codec, connectMs: options.connectMs, onCancel: cancel });
    const traceparent = headers['traceparent'];
    try {
      const request = codecs[control.codec].decode(opened.body);
      const context = { id: control.id, signal: cancelled.signal, metadata: control.metadata, ...(traceparent === undefined ? {} : { traceparent }) };
      for await (const batch of batchesOf(handler(request, context))) {
        if (cancelled.signal.aborted) break;
        const full = writer.write(batch);
        if (full !== undefined) await full;
      }
      await (cancelled.signal.aborted ? writer.finish(cancelled.signal.reason) : writer.finish());
    } catch (error) {
      if (!DynamoError.is(error) && !cancelled.signal.aborted) options.log.error({ request: control.id, error: String(error) }, 'a handler failed');
      await writer.finish(error);
    }
  } catch (error) {
    options.log.warn({ request: control.id, error: String(error) }, 'could not answer a request');
  } finally {
    options.signal.removeEventListener('abort', onShutdown);
  }
}
