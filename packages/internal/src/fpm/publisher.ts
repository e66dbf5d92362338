import { DynamoError, type EndpointPath } from '@dynamo/runtime';
import type { EventPublisher } from '@dynamo/runtime/internal';
import type { ForwardPass } from '../mock/pass.ts';
import { forwardPassTopic, type PassHost, scopeOf } from './topic.ts';
import { encodeForwardPass } from './wire/forward-pass.ts';

/** A rank that has nothing to say for so long says that it is idle, in milliseconds (spec planner 3). */
const heartbeatMs = 1_000;

/** Tells planners of the forward passes of one worker, and that its ranks are idle while they are. */
export class ForwardPassPublisher implements AsyncDisposable {
  readonly #publisher: EventPublisher;
  readonly #workerId: bigint | string;
  readonly #ranks: readonly { counter: number; lastMs: number }[];
  readonly #timer: NodeJS.Timeout;

  private constructor(publisher: EventPublisher, workerId: bigint | string, ranks: number) {
    this.#publisher = publisher;
    this.#workerId = workerId;
    this.#ranks = Array.from({ length: ranks }, () => ({ counter: 0, lastMs: performance.now() }));
    this.#timer = setInterval(() => this.#beat(), heartbeatMs).unref();
  }

  /** Registers the publisher: planners can find it from then on. By default it speaks for the runtime's own instance with one rank. */
  static async open(
    runtime: PassHost,
    path: EndpointPath,
    options: { readonly workerId?: bigint | string; readonly ranks?: number } = {},
  ): Promise<ForwardPassPublisher> {
    const { workerId = runtime.discovery.instanceId, ranks = 1 } = options;
    if (!Number.isSafeInteger(ranks) || ranks < 1) throw new DynamoError('invalid_argument', `ranks must be a whole number from 1 on, not ${ranks}`);
    return new ForwardPassPublisher(await runtime.events.publish(scopeOf(path), forwardPassTopic), workerId, ranks);
  }

  /**
   * Tells of one pass, which took so many seconds.
   *
   * @throws DynamoError `invalid_argument` for a rank that there is not, or a length that is none.
   */
  publish({ dpRank = 0, seconds, pass }: { readonly dpRank?: number; readonly seconds: number; readonly pass: ForwardPass }): void {
    if (this.#ranks[dpRank] === undefined) throw new DynamoError('invalid_argument', `there is no rank ${dpRank} of ${this.#ranks.length}`);
    if (!(seconds >= 0 && seconds < Infinity)) throw new DynamoError('invalid_argument', `a pass can't take ${seconds} seconds`);
    this.#send(dpRank, seconds, pass);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#publisher[Symbol.asyncDispose]();
  }

  #send(dpRank: number, seconds: number, pass: ForwardPass | undefined): void {
    const rank = this.#ranks[dpRank];
    if (rank === undefined) return;
    rank.lastMs = performance.now();
    this.#publisher.publish(encodeForwardPass({ workerId: this.#workerId, dpRank, counter: ++rank.counter, seconds }, pass));
  }

  #beat(): void {
    const now = performance.now();
    for (const [dpRank, { lastMs }] of this.#ranks.entries()) if (now - lastMs >= heartbeatMs) this.#send(dpRank, 0, undefined);
  }
}
