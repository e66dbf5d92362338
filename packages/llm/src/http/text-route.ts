import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { RequestRecord } from '../frontend/frontend-metrics.ts';
import type { Surface } from '../frontend/serving-model.ts';
import { clientLeft } from './answer-failed.ts';
import type { Asking } from './asking.ts';
import { unsupportedMedia } from './errors.ts';
import { settleFailure, type ShapeFailure } from './exchange.ts';
import { echoRequestId, requestId } from './request-facts.ts';
import { type AskedFor, httpTellers, tellHttpRequest } from './request-story.ts';
import type { RouteParts } from './routes/parts.ts';
import { leaveSignal } from './sse.ts';

/** One request of a text route, as the route's own part sees it. */
export interface TextExchange extends Asking {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/** A route of this kind. */
export interface TextRoute {
  readonly path: string;
  readonly surface: Surface;
  readonly answer: (exchange: TextExchange) => Promise<void>;
  /** Bodies that are no JSON are refused in plain text there. */
  readonly refusesInText?: boolean;
  /** Gives failures another body than the flat one of spec llm 0.1. */
  readonly shaped?: ShapeFailure;
}

/** Adds a route whose answers are text: its id, its counting and the end of every failure are the same for all. */
export function textRoute(server: FastifyInstance, parts: RouteParts, route: TextRoute): void {
  const tellers = httpTellers(parts);
  server.post(
    route.path,
    // Before the body is read: without a live model of its kind the route is not there (spec llm 3.1).
    {
      config: { refusesInText: route.refusesInText === true, shaped: route.shaped },
      onRequest: (_request, reply, done) => (parts.models.has(route.surface) ? done() : void reply.code(404).send()),
    },
    async (request, reply) => {
      const id = requestId(request);
      const story = tellHttpRequest(tellers, request, id);
      let record: RequestRecord | undefined;
      const begin = (asked: AskedFor): RequestRecord =>
        (record = story.began(
          asked,
          parts.access.metered({ request, reply }, asked, () => parts.metrics.start(asked)),
        ));
      try {
        echoRequestId(request, reply);
        if (request.headers['content-type'] === undefined) throw unsupportedMedia(route.refusesInText === true);
        await route.answer({
          request,
          reply,
          parts,
          id,
          headers: story.headers,
          begin,
          watch: () => leaveSignal(reply.raw),
          left: (cause) => clientLeft(reply, cause),
        });
        record?.end({});
        story.end(200);
      } catch (error) {
        story.end(settleFailure(error, { reply, record, parts, id, shaped: route.shaped }), error);
      }
      return reply;
    },
  );
}
