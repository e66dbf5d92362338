import { DynamoError } from '@dynamo/runtime';

const codes = { 400: 'invalid_argument', 404: 'not_found', 409: 'invalid_argument', 503: 'unavailable' } as const;

/** A refusal that a service answers with this status. */
export const refusal = (status: keyof typeof codes, message: string): DynamoError => new DynamoError(codes[status], message, { data: { status } });
