import { DynamoError, type DynamoErrorCode } from '@dynamo/runtime';

/** A failure whose message the client may read as it stands (spec llm 3.2). */
export function publicFailure(code: DynamoErrorCode, message: string, { plain = false }: { plain?: boolean } = {}): DynamoError {
  return new DynamoError(code, message, { data: { public: { type: plain ? 'text' : 'message', message } } });
}

/** Refuses a request by one of the rules of spec llm 3.2. */
export const refused = (message: string): DynamoError => publicFailure('invalid_argument', `Validation: ${message}`);

/** Refuses a request whose body does not have the right shape: `detail` ends in line and column (spec llm 3.2). */
export const malformed = (detail: string): DynamoError =>
  publicFailure('invalid_argument', `Failed to deserialize the JSON body into the target type: ${detail}`);
