import { DynamoError } from '@dynamo/runtime';
import { extension, type Extension } from './extension.ts';
import { malformed, publicFailure } from './failure.ts';
import { readMembersOf } from './validate/read-struct.ts';
import { struct } from './validate/struct.ts';
import { boolean, list, option, text, usize } from './validate/type.ts';

/** A request to /v1/rerank, under wire names (spec llm 2.6). */
export interface RerankRequest {
  model: string;
  query: string;
  documents: readonly string[];
  top_n?: number | bigint | null;
  return_documents: boolean;
  nvext?: Extension | null;
}

const body = struct('NvCreateRerankRequest', {
  model: text,
  query: text,
  documents: list(text),
  top_n: [option(usize), 'default'],
  return_documents: [boolean(), 'default'],
  nvext: option(extension),
});

/**
 * Reads the body of a request to order documents by a query.
 *
 * @throws DynamoError `invalid_argument` with a public message, as plain text where the body is no JSON.
 */
export function parseRerankRequest(text: string): RerankRequest {
  const read = readMembersOf(text, body);
  if ('kind' in read) throw read.kind === 'shape' ? malformed(read.message) : notJson(read.message);
  const request = { return_documents: true, ...read.value } as unknown as RerankRequest;
  if (request.query.trim() === '') throw publicFailure('invalid_argument', 'Query cannot be empty or whitespace only');
  if (request.documents.length === 0) throw publicFailure('invalid_argument', 'Documents cannot be empty');
  if (request.documents.some((document) => document.trim() === ''))
    throw publicFailure('invalid_argument', 'Each document cannot be empty or whitespace only');
  if (Number(request.top_n ?? 1) === 0) throw publicFailure('invalid_argument', "Parameter 'top_n' must be larger than 0");
  return request;
}

/** Refuses a body that is no JSON, in plain text. */
function notJson(detail: string): DynamoError {
  const message = `Failed to parse the request body as JSON: ${detail}`;
  return new DynamoError('invalid_argument', message, { data: { public: { type: 'text', message } } });
}
