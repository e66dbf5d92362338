import { encodeJsonText } from '../wire/json.ts';
import { type Asked, type Reply, text } from './http.ts';
import { readJson } from './json-body.ts';
import type { StatusBoard } from './status-board.ts';

/** Answers ANY /engine/{path}: the body is looked at first and the route then, as in the real system (spec runtime-wire 14). */
export async function answerEngine(board: StatusBoard, name: string, asked: Asked): Promise<Reply> {
  const body = await asked.body();
  if (!Buffer.isBuffer(body)) return body;
  const read = body.length === 0 ? { value: {} } : readJson(body);
  if ('fault' in read) return refusal(400, 'Invalid JSON', read.fault);
  const handler = board.find(name);
  if (handler === undefined) return refusal(404, 'Route not found', `Route /engine/${name} not found`);
  try {
    return text(200, encodeJsonText(await handler(read.value)));
  } catch (error) {
    return refusal(500, 'Handler error', String(error));
  }
}

const refusal = (status: number, error: string, message: string): Reply => text(status, JSON.stringify({ error, message }));
