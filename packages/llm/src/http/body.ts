import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { failure } from './errors.ts';
import { overLimit, refusal } from './refusal.ts';

/** Limits on what clients send, in bytes. */
export interface BodyLimits {
  /** One body. */
  readonly one: number;
  /** All bodies of running requests together. */
  readonly all: number;
  /** How long one may take over HTTP/2, in milliseconds: over HTTP/1.1 the server watches the whole request. */
  readonly streamMs: number;
}

const mib = 1024 * 1024;

/** Reads bodies within limits: of each, and of all that are held at once, so that many large ones can't fill the memory. */
export class BodyReader {
  readonly #limits: BodyLimits;
  #held = 0;

  constructor(limits: BodyLimits) {
    this.#limits = limits;
  }

  /** Bytes of all bodies that are held now. */
  get held(): number {
    return this.#held;
  }

  /** Gives the text of a body, whose bytes count until its response is done; `done` is called once. */
  read(request: IncomingMessage, response: ServerResponse, done: (error: Error | null, body?: string) => void): void {
    const chunks: Buffer[] = [];
    let length = 0;
    const finish = (error: Error | null, body?: string): void => {
      clearTimeout(slow);
      request.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose);
      done(error, body);
    };
    const onData = (chunk: Buffer): void => {
      length += chunk.length;
      this.#held += chunk.length;
      if (length > this.#limits.one) return finish(tooLarge(this.#limits.one));
      if (this.#held > this.#limits.all) return finish(tooMuch(this.#held, this.#limits.all));
      chunks.push(chunk);
    };
    const onEnd = (): void => {
      const [only] = chunks;
      finish(null, chunks.length === 1 && only !== undefined ? only.toString() : Buffer.concat(chunks, length).toString());
    };
    const onClose = (): void => finish(refusal('cancelled', failure(400, 'The body ended early')));
    const onError = (error: Error): void => finish(refusal('cancelled', failure(400, `The body ended early: ${error.message}`)));
    const slow = request.httpVersionMajor < 2 ? undefined : setTimeout(() => finish(tooSlow(this.#limits.streamMs)), this.#limits.streamMs);
    response.once('close', () => {
      this.#held -= length;
      length = 0;
    });
    const announced = Number(request.headers['content-length'] ?? 0);
    if (announced > this.#limits.one) return finish(tooLarge(this.#limits.one));
    if (announced > mib && this.#held + announced > this.#limits.all) return finish(tooMuch(this.#held + announced, this.#limits.all));
    request.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose);
  }
}

/**
 * Keeps nothing of what still comes of a request that has been refused: a client that is about to end reads its answer, one
 * that goes on as if nothing were is cut off.
 */
export function discard(request: IncomingMessage, limit: number): void {
  let more = 0;
  request
    .on('error', () => {})
    .on('data', (chunk: Buffer) => {
      more += chunk.length;
      if (more > limit) request.destroy();
    });
  // Over HTTP/2 the answer does not end a stream whose client still has the word; what was said goes out first.
  const { stream } = request as { stream?: Duplex };
  stream?.once('finish', () => setImmediate(() => stream.destroy()));
}

/** Reads JSON bodies as text: the reader of each route tells line and column of what is wrong. */
export function readBodies(server: FastifyInstance, reader: BodyReader): void {
  const responses = new WeakMap<IncomingMessage, ServerResponse>();
  server.addHook('preParsing', (request, reply, _payload, done) => {
    responses.set(request.raw, reply.raw);
    done();
  });
  server.addContentTypeParser(/^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i, (request, _payload, done) => {
    const response = responses.get(request.raw);
    if (response !== undefined) reader.read(request.raw, response, done);
  });
}

const tooLarge = (limit: number): Error =>
  refusal('payload_too_large', failure(413, `Request body exceeds the limit of ${limit / mib} MB set by DYN_HTTP_BODY_LIMIT_MB`));

const tooSlow = (ms: number): Error =>
  refusal('deadline_exceeded', failure(408, `The request was not received within ${ms} ms (DYN_HTTP_REQUEST_TIMEOUT_SECS)`));

const tooMuch = (held: number, limit: number): Error =>
  overLimit('The bodies of all running requests are too large together, in MiB', {
    knob: 'DYN_HTTP_BODIES_LIMIT_MB',
    measured: Math.ceil(held / mib),
    limit: limit / mib,
  });
