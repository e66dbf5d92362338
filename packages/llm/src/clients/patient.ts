import type { CallOptions, Client } from '@dynamo/runtime';

/** How long a worker may be silent, in milliseconds; passing a limit ends its call with `response_timeout`, and the request may move on. */
export interface Patience {
  readonly firstItemMs?: number | undefined;
  readonly idleMs?: number | undefined;
}

/** Puts the frontend's limits on every call that brings none of its own. */
export function patient<Req>(client: Client<Req, unknown>, limits: Patience): Client<Req, unknown> {
  const { firstItemMs, idleMs } = limits;
  if (firstItemMs === undefined && idleMs === undefined) return client;
  const own: CallOptions = { ...(firstItemMs === undefined ? {} : { firstItemMs }), ...(idleMs === undefined ? {} : { idleMs }) };
  return {
    get instances() {
      return client.instances;
    },
    ready: (ready) => client.ready(ready),
    generate: (request, call) => client.generate(request, { ...own, ...call }),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}
