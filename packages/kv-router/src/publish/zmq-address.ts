import { DynamoError } from '@dynamo/runtime';

/** Refuses what can't be an address, in the words of the services of 1.6.1. @throws DynamoError `invalid_argument`. */
export function checkAddress(address: string): void {
  if (!/^[a-z]+:\/\/./.test(address))
    throw new DynamoError('invalid_argument', `invalid ZMQ endpoint \`${address}\`: missing scheme`, { data: { status: 400, address } });
}
