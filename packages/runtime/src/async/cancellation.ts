import { DynamoError } from '../error.ts';

/** A signal that follows others; disposing it takes every listener off them, and it never aborts afterwards. */
export interface LinkedSignal extends Disposable {
  /** Aborts with the first of those it follows. */
  readonly signal: AbortSignal;
}

/**
 * Joins signals into one that aborts with the reason of the first.
 *
 * Unlike `AbortSignal.any`, it leaves nothing behind on a long-lived signal once it is disposed or aborted.
 *
 * @example
 * using linked = linkSignals(runtime.signal, call.signal);
 * await write(frame, { signal: linked.signal });
 */
export function linkSignals(...signals: readonly (AbortSignal | undefined)[]): LinkedSignal {
  const controller = new AbortController();
  const followed: (readonly [AbortSignal, () => void])[] = [];
  const unlink = (): void => {
    for (const [signal, onAbort] of followed.splice(0)) signal.removeEventListener('abort', onAbort);
  };
  for (const signal of new Set(signals)) {
    if (signal === undefined) continue;
    const onAbort = (): void => {
      unlink();
      controller.abort(signal.reason);
    };
    if (signal.aborted) {
      onAbort();
      break;
    }
    followed.push([signal, onAbort]);
    signal.addEventListener('abort', onAbort, { once: true });
  }
  return { signal: controller.signal, [Symbol.dispose]: unlink };
}

/**
 * A tree of cancellations: cancelling a token cancels everything below it and nothing above.
 *
 * A child leaves its parent as soon as it is cancelled or disposed, so a token that lives as long as the process stays
 * small. Users of the public doors pass an `AbortSignal` instead; `signal` is the way there.
 */
export class CancellationToken implements Disposable {
  readonly #controller = new AbortController();
  /** Made with the first child: most tokens have none. */
  #children: Set<CancellationToken> | undefined;
  #parent: CancellationToken | undefined;
  #link: LinkedSignal | undefined;

  /** A token that is cancelled when the signal aborts, with its reason; dispose it to let go of the signal. */
  static from(signal: AbortSignal): CancellationToken {
    const token = new CancellationToken();
    const link = linkSignals(signal);
    if (link.signal.aborted) token.cancel(signal.reason);
    else {
      token.#link = link;
      // The linked signal belongs to this token alone: both are collected together.
      link.signal.addEventListener('abort', () => token.cancel(signal.reason), { once: true });
    }
    return token;
  }

  /** Aborts when this token is cancelled. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether it has been cancelled, itself or from above. */
  get cancelled(): boolean {
    return this.signal.aborted;
  }

  /** How many living tokens hang on this one. */
  get children(): number {
    return this.#children?.size ?? 0;
  }

  /** A token below this one; it is cancelled at once when this one is. */
  child(): CancellationToken {
    const child = new CancellationToken();
    if (this.cancelled) child.cancel(this.signal.reason);
    else {
      child.#parent = this;
      (this.#children ??= new Set()).add(child);
    }
    return child;
  }

  /** Cancels this token and all below it. The first reason stays. */
  cancel(reason: unknown = new DynamoError('cancelled', 'cancelled')): void {
    if (this.cancelled) return;
    this.#unlink();
    this.#controller.abort(reason);
    for (const child of this.#children ?? []) {
      // Unhooked before its listeners run: they may make or dispose tokens of this tree.
      child.#parent = undefined;
      child.cancel(reason);
    }
    this.#children?.clear();
  }

  /** Resolves when this token is cancelled; rejects with the reason of `options.signal` when that aborts first. */
  async whenCancelled(options: { signal?: AbortSignal } = {}): Promise<void> {
    options.signal?.throwIfAborted();
    if (this.cancelled) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const both = [this.signal, options.signal];
    for (const signal of both) signal?.addEventListener('abort', resolve as () => void, { once: true });
    await promise;
    for (const signal of both) signal?.removeEventListener('abort', resolve as () => void);
    if (!this.cancelled) options.signal?.throwIfAborted();
  }

  /** Leaves the tree without cancelling: what hangs below moves up to the parent, so that its cancelling still reaches it. */
  [Symbol.dispose](): void {
    const parent = this.#parent;
    for (const child of this.#children ?? []) {
      child.#parent = parent;
      if (parent !== undefined) (parent.#children ??= new Set()).add(child);
    }
    this.#children?.clear();
    this.#unlink();
  }

  #unlink(): void {
    if (this.#parent !== undefined) this.#parent.#children?.delete(this);
    this.#parent = undefined;
    this.#link?.[Symbol.dispose]();
    this.#link = undefined;
  }
}
