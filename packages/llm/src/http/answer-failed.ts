import type { FastifyReply } from 'fastify';
import { type Failure, failure } from './errors.ts';

/** An answer that ended in a failure: what the client was or is to be told, with what went wrong as its cause. */
export class AnswerFailed extends Error {
  readonly told: Failure;

  constructor(told: Failure, cause: unknown) {
    super(told.body.message, { cause });
    this.told = told;
  }
}

/** There is nobody to answer: the reply is left alone, and the failure is counted. */
export function clientLeft(reply: FastifyReply, cause: unknown): AnswerFailed {
  reply.hijack();
  return new AnswerFailed(failure(499, 'Request cancelled'), cause);
}
