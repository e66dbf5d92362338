import type { FastifyReply } from 'fastify';
import type { Failure } from './errors.ts';

/** Sends JSON text. As bytes, since the server would name a charset behind the type of text, and the real one does not. */
export const sendJson = (reply: FastifyReply, text: string): FastifyReply => reply.header('content-type', 'application/json').send(Buffer.from(text));

/** Sends plain text. */
export const sendText = (reply: FastifyReply, text: string): FastifyReply => reply.header('content-type', 'text/plain; charset=utf-8').send(text);

/** Sends a failure as the flat body of spec llm 0.1. */
export const send = (reply: FastifyReply, told: Failure): FastifyReply => {
  if (told.headers !== undefined) void reply.headers(told.headers);
  if (told.plain === true) return sendText(reply.code(told.status), told.body.message);
  return sendJson(reply.code(told.status), JSON.stringify(told.envelope ?? told.body));
};
