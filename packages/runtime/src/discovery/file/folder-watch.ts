import { type FSWatcher, watch } from 'node:fs';
import type { Logger } from '../../log.ts';
import type { Tidings } from '../follow.ts';

/** How often a folder is looked at when the kernel's notices fail, in milliseconds. */
const pollMs = 500;

/** How often it is looked at although the notices work: they can be lost, and files expire without one. In milliseconds. */
const safetyPollMs = 2_000;

/** Opens the kernel's notices of a folder; throws, or emits `error`, when there are none to be had. */
export type OpenNotices = (path: string, onChange: () => void) => FSWatcher;

const kernelNotices: OpenNotices = (path, onChange) => watch(path, { persistent: false }, onChange);

/** Tells when a folder may have changed. One watcher, however many subscribers; none while there are no subscribers. */
export class FolderWatch implements Tidings, Disposable {
  readonly #path: string;
  readonly #log: Logger;
  readonly #open: OpenNotices;
  readonly #listeners = new Set<() => void>();
  #notices: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(path: string, options: { log: Logger; notices?: OpenNotices | undefined }) {
    this.#path = path;
    this.#log = options.log;
    this.#open = options.notices ?? kernelNotices;
  }

  subscribe(ring: () => void): Disposable {
    this.#listeners.add(ring);
    if (this.#timer === undefined) this.#start();
    return {
      [Symbol.dispose]: () => {
        this.#listeners.delete(ring);
        if (this.#listeners.size === 0) this[Symbol.dispose]();
      },
    };
  }

  ring(): void {
    for (const ring of this.#listeners) ring();
  }

  [Symbol.dispose](): void {
    this.#notices?.close();
    this.#notices = undefined;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #start(): void {
    this.#poll(safetyPollMs);
    try {
      this.#notices = this.#open(this.#path, () => this.ring());
      this.#notices.on('error', (error) => this.#fallBack(error));
    } catch (error) {
      this.#fallBack(error);
    }
  }

  /** The kernel's notices are few and other processes hold many (EMFILE, ENOSPC): looking often works everywhere. */
  #fallBack(error: unknown): void {
    this.#log.warn({ error: String(error), everyMs: pollMs }, 'polls the discovery folder');
    this.#notices?.close();
    this.#notices = undefined;
    // An error that comes late must not start what has been stopped.
    if (this.#timer !== undefined) this.#poll(pollMs);
  }

  #poll(everyMs: number): void {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.ring(), everyMs).unref();
  }
}
