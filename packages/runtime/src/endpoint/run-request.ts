import { batchesOf } from '../async/batches.ts';
import { DynamoError } from '../error.ts';
import type { Logger } from '../log.ts';
import type { RequestMeter, WorkError } from '../metrics/endpoint-metrics.ts';
import type { IncomingRequest } from '../planes/request/tcp/listen.ts';
import { callHome, type ResponseWriter } from '../planes/response/tcp/dial.ts';
import { codecs } from '../wire/codec.ts';
import { type ControlMessage, decodeControl } from '../wire/control.ts';
import { decodeTwoPart, type TwoPart } from '../wire/two-part.ts';
import type { Handler } from './handler.ts';

/** A request whose envelope has been read. */
export interface OpenedRequest {
  readonly control: ControlMessage;
  readonly body: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

/** Opens a request's envelope; refuses with a text what the caller could never hear the answer of. */
export function openRequest(request: IncomingRequest): OpenedRequest | { readonly refusal: string; readonly why: WorkError } {
  let envelope: TwoPart | undefined;
  try {
    envelope = decodeTwoPart(request.payload);
    const { header, body } = envelope;
    const control = decodeControl(header);
    if (control.transport !== 'tcp_server') {
      return {
        refusal: `Server unavailable: response plane mismatch: frontend requested ${control.transport.replace('-response', '')}, worker configured tcp`,
        why: 'response_stream',
      };
    }
    if (control.requestType === 'many_in')
      return { refusal: 'Server unavailable: this endpoint takes one request item, not a stream', why: 'invalid_message' };
    return { control, body, headers: request.headers };
  } catch (error) {
    const refusal = `Invalid request: ${error instanceof Error ? error.message : String(error)}`;
    return { refusal, why: envelope === undefined ? 'invalid_message' : 'deserialization' };
  }
}

/** Runs a handler on one request and streams its items home. Never rejects: what goes wrong reaches the caller. */
export async function runRequest(
  handler: Handler<unknown, unknown>,
  opened: OpenedRequest,
  options: { signal: AbortSignal; connectMs: number; log: Logger; meter: RequestMeter },
): Promise<void> {
  const { control, headers } = opened;
  const { meter } = options;
  const cancelled = new AbortController();
  let left = false;
  const cancel = (how: 'stop' | 'kill'): void => {
    left = true;
    meter.cancelled();
    cancelled.abort(new DynamoError('cancelled', `the caller sent ${how}`, { data: { kind: how } }));
  };
  const onShutdown = (): void => cancelled.abort(options.signal.reason);
  options.signal.addEventListener('abort', onShutdown, { once: true });
  let writer: ResponseWriter | undefined;
  try {
    writer = callHome({ to: control.response, codec: control.codec, connectMs: options.connectMs, onCancel: cancel });
    meter.answered();
    const traceparent = headers['traceparent'];
    try {
      const request = decode(opened, meter);
      const context = { id: control.id, signal: cancelled.signal, metadata: control.metadata, ...(traceparent === undefined ? {} : { traceparent }) };
      for await (const batch of batchesOf(handler(request, context))) {
        if (cancelled.signal.aborted) {
          // These items had nobody left to go to.
          if (left) meter.failed('publish_response');
          break;
        }
        const full = write(writer, batch, meter);
        if (full !== undefined) await full;
      }
      await (cancelled.signal.aborted ? writer.finish(cancelled.signal.reason) : writer.finish());
    } catch (error) {
      if (!DynamoError.is(error) && !cancelled.signal.aborted) options.log.error({ request: control.id, error: String(error) }, 'a handler failed');
      await writer.finish(error);
    }
  } catch (error) {
    meter.failed(writer === undefined ? 'response_stream' : 'publish_final');
    options.log.warn({ request: control.id, error: String(error) }, 'could not answer a request');
  } finally {
    meter.end();
    options.signal.removeEventListener('abort', onShutdown);
  }
}

/** Reads the request's item; a failure is counted and goes on to the caller. */
function decode({ control, body }: OpenedRequest, meter: RequestMeter): unknown {
  try {
    return codecs[control.codec].decode(body);
  } catch (error) {
    meter.failed('deserialization');
    throw error;
  }
}

/** Writes items; what can't be said on the wire is counted and goes on to the caller. */
function write(writer: ResponseWriter, batch: readonly unknown[], meter: RequestMeter): Promise<void> | undefined {
  try {
    return writer.write(batch);
  } catch (error) {
    meter.failed('serialization');
    throw error;
  }
}
