import { batchesOf } from '../async/batches.ts';
import { DynamoError } from '../error.ts';
import type { Logger } from '../log.ts';
import type { RequestMeter, WorkError } from '../metrics/endpoint-metrics.ts';
import type { IncomingRequest } from '../planes/request/request-plane.ts';
import type { ResponsePlane, ResponseWriter } from '../planes/response/response-plane.ts';
import { release } from '../net/release.ts';
import { codecs } from '../wire/codec.ts';
import { type ControlMessage, decodeControl } from '../wire/control.ts';
import { decodeTwoPart, type TwoPart } from '../wire/two-part.ts';
import { Context } from './context.ts';
import type { Handler } from './handler.ts';
import type { RequestStory } from './request-story.ts';
import { openRequestInput, type RequestInput, streamOfOne } from './request-input.ts';

/** A request whose envelope has been read. */
export interface OpenedRequest {
  readonly control: ControlMessage;
  readonly body: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

/** What an endpoint lends to the requests that it runs. */
export interface RunOptions {
  /** Aborts what has not ended when the endpoint's time to drain is over. */
  readonly signal: AbortSignal;
  readonly connectMs: number;
  readonly story: RequestStory;
  readonly log: Logger;
  /** How the answer travels. */
  readonly home: ResponsePlane;
  readonly meter: RequestMeter;
  /** Whether the handler takes one item or a stream of them. */
  readonly input: 'item' | 'stream';
  /** Told whenever items are on their way to the caller. */
  readonly onItems?: (() => void) | undefined;
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
    return { control, body, headers: request.headers };
  } catch (error) {
    const refusal = `Invalid request: ${error instanceof Error ? error.message : String(error)}`;
    return { refusal, why: envelope === undefined ? 'invalid_message' : 'deserialization' };
  }
}

/** How long a handler may take to answer its abortion before its caller is told in its place, in milliseconds. */
const deafMs = 500;

/** Runs a handler on one request and streams its items home. Never rejects: what goes wrong reaches the caller. */
export async function runRequest(handler: Handler<unknown, unknown>, opened: OpenedRequest, options: RunOptions): Promise<void> {
  const { control } = opened;
  const { meter, story } = options;
  const context = Context.read({ id: control.id, metadata: control.metadata, headers: story.headers, spanId: story.spanId });
  let left = false;
  const cancel = (how: 'stop' | 'kill', reason = asked(how)): void => {
    left = true;
    meter.cancelled();
    if (how === 'kill') context.kill(reason);
    else context.stop(reason);
  };
  let writer: ResponseWriter | undefined;
  let input: RequestInput | undefined;
  // Set when the caller has been told for a handler that does not hear.
  let told = false;
  let deaf: NodeJS.Timeout | undefined;
  const onShutdown = (): void => {
    const reason: unknown = options.signal.reason;
    context.kill(reason);
    deaf = setTimeout(() => {
      told = true;
      // Nothing is written after it: every write looks first whether the request has been stopped.
      writer?.finish(reason).catch(() => {});
    }, deafMs);
  };
  options.signal.addEventListener('abort', onShutdown, { once: true });
  // One that waited for a place may begin after that.
  if (options.signal.aborted) onShutdown();
  try {
    const { connectMs, log } = options;
    writer = options.home.callHome({ to: control.response, codec: control.codec, connectMs, log, onCancel: cancel });
    meter.answered();
    try {
      const request = control.requestType === 'many_in' ? (input = open(opened, { ...options, onCancel: cancel })).items : decode(opened, options);
      for await (const batch of batchesOf(handler(request, context))) {
        if (context.stopped) {
          // These items had nobody left to go to.
          if (left) meter.failed('publish_response');
          break;
        }
        const full = write(writer, batch, meter);
        options.onItems?.();
        if (full !== undefined) await full;
      }
      input?.leave();
      if (told) return;
      await (context.stopped ? writer.finish(context.signal.reason) : writer.finish());
    } catch (error) {
      input?.leave();
      if (!context.stopped) story.failed(error);
      if (!DynamoError.is(error) && !context.stopped) story.log().error({ request: control.id, error: String(error) }, 'a handler failed');
      if (told) return;
      // What a handler's own waits throw when its signal aborts tells nothing; why it was aborted does.
      await writer.finish(context.stopped && isAbort(error) ? context.signal.reason : error);
    }
  } catch (error) {
    meter.failed(writer === undefined ? 'response_stream' : 'publish_final');
    story.log().warn({ request: control.id, error: String(error) }, 'could not answer a request');
  } finally {
    meter.end(writer?.itemBytes ?? 0);
    story.end();
    clearTimeout(deaf);
    options.signal.removeEventListener('abort', onShutdown);
  }
}

const isAbort = (error: unknown): boolean => error instanceof Error && error.name === 'AbortError';

const asked = (kind: 'stop' | 'kill'): DynamoError => new DynamoError('cancelled', `the caller sent ${kind}`, { data: { kind } });

/** Reads the request's item; a failure is counted and goes on to the caller. */
function decode({ control, body }: OpenedRequest, { meter, input }: RunOptions): unknown {
  try {
    const item = codecs[control.codec].decode(body);
    return input === 'stream' ? streamOfOne(item) : item;
  } catch (error) {
    meter.failed('deserialization');
    throw error;
  } finally {
    // What was read from it is a copy.
    release(body);
  }
}

/** Calls home for the request's items. A handler of one item is not given a stream: the caller hears so as an error of its request. */
function open({ control }: OpenedRequest, options: RunOptions & Pick<Parameters<typeof openRequestInput>[1], 'onCancel'>): RequestInput {
  if (options.input === 'stream' && control.input !== undefined)
    return openRequestInput(options.home, { ...options, to: control.input, codec: control.codec });
  options.meter.failed('invalid_message');
  throw new DynamoError('invalid_argument', "this endpoint takes one item, not a stream; serve it with input: 'stream'");
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
