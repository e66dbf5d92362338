import type { ChildProcess } from 'node:child_process';
import { isFleetMessage, type ToChild, type ToParent } from './messages.ts';
import { sumMetrics } from './sum-metrics.ts';

/** How long the processes may take for their figures, in milliseconds. */
const gatherMs = 2_000;

interface Gathering {
  readonly missing: Set<ChildProcess>;
  readonly texts: string[];
  readonly done: () => void;
}

/** Connects the processes of one frontend: passes on what one tells the others, and adds up what they count. */
export class Switchboard {
  readonly #children = new Set<ChildProcess>();
  readonly #gatherings = new Map<number, Gathering>();
  #last = 0;

  /** Connects a process until it ends. */
  connect(child: ChildProcess): void {
    this.#children.add(child);
    child.on('message', (message) => void (isFleetMessage<ToParent>(message) && this.#hear(child, message)));
    child.once('exit', () => {
      this.#children.delete(child);
      for (const [id] of this.#gatherings) this.#got(id, child, undefined);
    });
  }

  #hear(from: ChildProcess, message: ToParent): void {
    if (message.fleet === 'tell') {
      for (const child of this.#children) if (child !== from) say(child, message);
    } else if (message.fleet === 'text') this.#got(message.id, from, message.text);
    else this.#gather((text) => say(from, { fleet: 'scraped', id: message.id, text }));
  }

  #gather(give: (text: string) => void): void {
    const id = ++this.#last;
    const texts: string[] = [];
    const done = (): void => {
      clearTimeout(timer);
      this.#gatherings.delete(id);
      give(sumMetrics(texts));
    };
    const timer = setTimeout(done, gatherMs);
    this.#gatherings.set(id, { missing: new Set(this.#children), texts, done });
    for (const child of this.#children) say(child, { fleet: 'give', id });
  }

  #got(id: number, from: ChildProcess, text: string | undefined): void {
    const gathering = this.#gatherings.get(id);
    if (gathering?.missing.delete(from) !== true) return;
    if (text !== undefined) gathering.texts.push(text);
    if (gathering.missing.size === 0) gathering.done();
  }
}

const say = (child: ChildProcess, message: ToChild): void => void (child.connected && child.send(message, () => undefined));
