import { createHash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { InputItem } from '../../openai/responses/items.ts';
import type { ResponsesRequest } from '../../openai/responses/request.ts';
import { failure } from '../errors.ts';
import { refusal } from '../refusal.ts';
import type { KeptResponse, ResponseStore } from './store.ts';

/** Most responses that one request may go on from: a chain that is longer is a loop, or nobody's dialogue. */
const longestChain = 10_000;

/** Whose responses a request may see: those of its own key, or of everybody who has none. */
export const ownerOf = ({ headers }: Pick<FastifyRequest, 'headers'>): string =>
  headers.authorization === undefined ? '' : createHash('sha256').update(headers.authorization).digest('hex');

/**
 * Finds a response of this owner.
 *
 * @throws DynamoError `not_found` with the flat body that every error of the route has.
 */
export async function keptResponse(store: ResponseStore, id: string, owner: string): Promise<KeptResponse> {
  const found = await store.get(id);
  if (found === undefined || found.owner !== owner) throw refusal('not_found', failure(404, `Response with id '${id}' not found.`));
  return found;
}

/**
 * The request with everything that was said before it: the input and output of each response that it goes on from. The
 * instructions of those are not carried over, as OpenAI's API defines it.
 *
 * @throws DynamoError `not_found` for a response that nobody has kept, or not any more.
 */
export async function withHistory(asked: ResponsesRequest, store: ResponseStore, owner: string): Promise<ResponsesRequest> {
  const turns: InputItem[][] = [];
  let id = asked.previous_response_id ?? undefined;
  if (id === undefined) return asked;
  for (let length = 0; id !== undefined; length++) {
    if (length === longestChain)
      throw refusal('invalid_argument', failure(400, `previous_response_id goes on from more than ${longestChain} responses`));
    const { input, output, previous }: KeptResponse = await keptResponse(store, id, owner);
    turns.push([...itemsOf(JSON.parse(input) as ResponsesRequest['input']), ...(JSON.parse(output) as InputItem[])]);
    id = previous;
  }
  return { ...asked, input: [...turns.reverse().flat(), ...itemsOf(asked.input)] };
}

const itemsOf = (input: ResponsesRequest['input']): readonly InputItem[] => (typeof input === 'string' ? [{ role: 'user', content: input }] : input);
