import { DynamoError } from '../../error.ts';
import type { RoutePolicy } from '../types.ts';

/** Sends only where `CallOptions.instance` says; a call without it fails with `invalid_argument`. */
export const direct = (): RoutePolicy => ({
  pick: (_request, _candidates, call) => {
    if (call.instance === undefined) throw new DynamoError('invalid_argument', "policy 'direct' needs the call option 'instance'");
    return { instance: call.instance };
  },
});
