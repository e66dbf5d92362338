import type { FastifyReply } from 'fastify';
import type { Failure } from './errors.ts';

/** Sends a failure as the flat body of spec llm 0.1. */
export const send = (reply: FastifyReply, told: Failure): FastifyReply =>
  reply.code(told.status).type('application/json').send(JSON.stringify(told.body));
