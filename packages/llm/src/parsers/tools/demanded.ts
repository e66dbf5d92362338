import { GuidedRun } from './guided.ts';
import type { ParserEvent } from './parser.ts';

/** Anything that turns an answer into events. */
interface EventSource {
  push(text: string): readonly ParserEvent[];
  end(): readonly ParserEvent[];
}

/**
 * Reads an answer whose client demanded a call: the family's own markup where the model uses it, and the JSON that guided
 * decoding makes in the rest of the text.
 */
export class DemandedRun implements EventSource {
  readonly #family: EventSource;
  readonly #guided: GuidedRun;
  /** Index of each call among all of them, by who found it. */
  readonly #indexes: Record<'family' | 'guided', Map<number, number>> = { family: new Map(), guided: new Map() };
  #calls = 0;

  constructor(family: EventSource, options: { uuid: () => string; name?: string | undefined }) {
    this.#family = family;
    this.#guided = new GuidedRun(options.uuid, options.name);
  }

  push(text: string): readonly ParserEvent[] {
    return this.pass(this.#family.push(text));
  }

  end(): readonly ParserEvent[] {
    return [...this.pass(this.#family.end()), ...this.#counted('guided', this.#guided.end())];
  }

  /** Reads what the family's parser made of a piece. */
  pass(events: readonly ParserEvent[]): readonly ParserEvent[] {
    return events.flatMap((event) =>
      event.type === 'text' ? this.#counted('guided', this.#guided.push(event.text)) : this.#counted('family', [event]),
    );
  }

  #counted(by: 'family' | 'guided', events: readonly ParserEvent[]): readonly ParserEvent[] {
    const indexes = this.#indexes[by];
    return events.map((event) => {
      if (event.type === 'text' || event.type === 'reasoning') return event;
      if (event.type === 'tool-call-start') indexes.set(event.index, this.#calls++);
      return { ...event, index: indexes.get(event.index) ?? 0 };
    });
  }
}
