import { batchesOf } from '@dynamo/runtime/internal';
import type { CallOptions, Client } from '@dynamo/runtime';
import { WireRequest } from '../frontend/wire-request.ts';

/** Sends a request as it is and reads the worker's items as they came. */
export const itemsOfWorker = (client: Client<WireRequest, unknown>, wire: unknown, call: CallOptions): AsyncIterable<readonly unknown[]> =>
  batchesOf(client.generate(new WireRequest(wire), call));
