import type { FastifyReply } from 'fastify';
import type { HttpSettings } from './settings.ts';
import { sseHeaders } from './sse.ts';

/** The head of an event stream, which is sent once; disposing ends its timers. */
export interface EventStream extends Disposable {
  readonly begun: boolean;
  begin(): void;
}

/**
 * Begins a stream with its first event, or when an operator's limit for waiting has passed; keeps silent streams alive with
 * comments where that is asked for (spec llm 3.3). `head` adds what is known of the answer to its headers.
 */
export function eventStream(
  reply: FastifyReply,
  { opening, http, head }: { opening: () => string; http: HttpSettings; head: () => void },
): EventStream {
  const response = reply.raw;
  const { keepAliveMs, errorPeekMs } = http;
  let begun = false;
  const begin = (): void => {
    if (begun) return;
    begun = true;
    clearTimeout(peek);
    head();
    reply.hijack();
    response.writeHead(200, { ...sseHeaders, ...(reply.getHeaders() as Record<string, string>) });
    const first = opening();
    if (first !== '') response.write(first);
  };
  const peek = errorPeekMs === undefined ? undefined : setTimeout(begin, errorPeekMs);
  const alive = keepAliveMs === undefined ? undefined : keepAlive(response, keepAliveMs, begin);
  return {
    get begun() {
      return begun;
    },
    begin,
    [Symbol.dispose]() {
      clearTimeout(peek);
      alive?.[Symbol.dispose]();
    },
  };
}

/** Writes a comment whenever nothing has been written for so long. */
function keepAlive(response: FastifyReply['raw'], everyMs: number, begin: () => void): Disposable {
  let written = 0;
  const timer = setInterval(() => {
    const now = response.socket?.bytesWritten ?? 0;
    if (now !== written || response.writableNeedDrain) {
      written = now;
      return;
    }
    begin();
    response.write(':\n\n');
    written = response.socket?.bytesWritten ?? 0;
  }, everyMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
