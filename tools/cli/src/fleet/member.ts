import type { SiblingMessage, Siblings } from '@dynamo/llm/internal';
import { fleetVariable, isFleetMessage, type ToChild, type ToParent } from './messages.ts';

/** How long the other processes are waited for, in milliseconds; then this one's own figures are all there is. */
const scrapeMs = 3_000;

/** The siblings of this process, reached through its parent; undefined where it is alone. */
export function siblingsOfProcess(): Siblings | undefined {
  if (process.send === undefined || process.env[fleetVariable] !== '1') return undefined;
  return new Member((message) => void (process.connected && process.send?.(message)));
}

class Member implements Siblings {
  readonly #send: (message: ToParent) => void;
  readonly #listeners = new Set<(message: SiblingMessage) => void>();
  readonly #waiting = new Map<number, (text: string) => void>();
  #own: (() => Promise<string>) | undefined;
  #last = 0;

  constructor(send: (message: ToParent) => void) {
    this.#send = send;
    process.on('message', (message) => void (isFleetMessage<ToChild>(message) && this.#hear(message)));
  }

  send(message: SiblingMessage): void {
    this.#send({ fleet: 'tell', message });
  }

  onMessage(listener: (message: SiblingMessage) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  onScrape(own: () => Promise<string>): Disposable {
    this.#own = own;
    return { [Symbol.dispose]: () => void (this.#own = undefined) };
  }

  async metrics(): Promise<string> {
    const id = ++this.#last;
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    const timer = setTimeout(() => resolve(undefined), scrapeMs);
    this.#waiting.set(id, resolve);
    this.#send({ fleet: 'scrape', id });
    const text = await promise;
    clearTimeout(timer);
    this.#waiting.delete(id);
    return text ?? (await this.#own?.()) ?? '';
  }

  #hear(message: ToChild): void {
    if (message.fleet === 'tell') for (const listener of this.#listeners) listener(message.message);
    else if (message.fleet === 'scraped') this.#waiting.get(message.id)?.(message.text);
    else void this.#give(message.id);
  }

  async #give(id: number): Promise<void> {
    const text = await (this.#own?.() ?? Promise.resolve('')).catch(() => '');
    this.#send({ fleet: 'text', id, text });
  }
}
