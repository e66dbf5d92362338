import { DynamoError } from '@dynamo/runtime';

/** Longest event that is read, in characters; an upstream that sends more of one speaks something else. */
const longestEvent = 16 * 1024 * 1024;

/** Cuts a stream of server-sent events into the data of each, as pieces of it arrive. */
export class SseEvents {
  readonly #decoder = new TextDecoder();
  #rest = '';

  /**
   * The data of the events that are complete now, `[DONE]` among them.
   *
   * @throws DynamoError `backend_protocol` for an event without an end.
   */
  push(piece: Uint8Array): readonly string[] {
    const text = this.#rest + this.#decoder.decode(piece, { stream: true }).replaceAll('\r', '');
    const parts = text.split('\n\n');
    this.#rest = parts.pop() ?? '';
    if (this.#rest.length > longestEvent)
      throw new DynamoError('backend_protocol', 'the upstream sends an event without an end', { origin: 'backend' });
    return parts.map(dataOf).filter((data) => data !== '');
  }

  /** Data of a last event that no empty line ended. */
  end(): readonly string[] {
    const data = dataOf(this.#rest);
    this.#rest = '';
    return data === '' ? [] : [data];
  }
}

/** The data of one event; empty for comments and for events without any. */
function dataOf(event: string): string {
  if (event.startsWith('data:') && !event.includes('\n')) return event.slice(5).trim();
  return event
    .split('\n')
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice(5).trim())
    .join('\n');
}
