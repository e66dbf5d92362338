import { openEngineSocket } from '@dynamo/kv-router/internal';
import type { EndpointPath } from '@dynamo/runtime';
import { forwardPassTopic, type PassHost, scopeOf } from './topic.ts';
import { decodeForwardPass } from './wire/forward-pass.ts';

/** Passes the forward-pass metrics that an engine publishes on a local ZMQ socket on to planners, byte for byte. */
export class ForwardPassRelay implements AsyncDisposable {
  readonly #stack: AsyncDisposableStack;

  private constructor(stack: AsyncDisposableStack) {
    this.#stack = stack;
  }

  /** Relays from now on; messages that are no forward-pass metrics are left out, with one log line for all of them. */
  static async open(runtime: PassHost, path: EndpointPath, options: { readonly zmq: string }): Promise<ForwardPassRelay> {
    await using stack = new AsyncDisposableStack();
    const publisher = stack.use(await runtime.events.publish(scopeOf(path), forwardPassTopic));
    let complained = false;
    const onMessage = (frames: readonly Uint8Array[]): void => {
      // A topic, a number and the message; the number is the socket's own.
      const payload = frames.at(-1) ?? new Uint8Array();
      try {
        decodeForwardPass(payload);
        publisher.publish(payload);
      } catch (error) {
        if (!complained) runtime.log.warn({ zmq: options.zmq, error: String(error) }, 'left out what an engine has published');
        complained = true;
      }
    };
    stack.use(await openEngineSocket({ zmq: options.zmq }, { onMessage, onRestart: () => {}, log: runtime.log }));
    return new ForwardPassRelay(stack.move());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
