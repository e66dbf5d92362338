import type { IncomingHttpHeaders } from 'node:http';
import type { CallOptions } from '@dynamo/runtime';
import type { RequestRecord } from '../frontend/frontend-metrics.ts';
import type { AskedFor } from './request-story.ts';
import type { RouteParts } from './routes/parts.ts';
import type { AnswerWatch } from './sse.ts';

/** What answering a request takes, whoever brought it: a client over HTTP, or the program that the frontend is part of. */
export interface Asking {
  /** The request's own headers; none where the program asks. */
  readonly request: { readonly headers: IncomingHttpHeaders };
  readonly parts: RouteParts;
  readonly id: string;
  /** Headers that go to the worker beside the request: the trace, and how a proxy calls it. */
  readonly headers: Readonly<Record<string, string>>;
  /** What else the call to the worker is made with. */
  readonly call?: Omit<CallOptions, 'signal'>;
  /** Says what is asked for: from then on the request is counted, and the record counts it. */
  readonly begin: (asked: AskedFor) => RequestRecord;
  /** Watches whether anybody still waits for the answer. */
  readonly watch: () => AnswerWatch;
  /** What to throw when nobody does. */
  readonly left: (cause: unknown) => unknown;
}
