import { DynamoError } from '@dynamo/runtime';
import { publicFailure } from './failure.ts';

const prefix = 'Validation: ';

/** Runs a check of chat requests and begins its refusals otherwise: 1.6.1 tells them of requests that came in by other doors without its usual word. */
export function rewording(check: () => void, { as }: { as: string }): void {
  try {
    check();
  } catch (error) {
    if (!DynamoError.is(error, 'invalid_argument') || !error.message.startsWith(prefix)) throw error;
    throw publicFailure('invalid_argument', as + error.message.slice(prefix.length));
  }
}
