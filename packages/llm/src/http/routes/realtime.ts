import type { FastifyInstance } from 'fastify';
import { WireRequest } from '../../frontend/wire-request.ts';
import { RealtimeSession } from '../realtime/session.ts';
import { routeUpgrades, upgradeOf } from '../realtime/upgrade.ts';
import { carrySession } from '../realtime/web-socket.ts';
import { requestId } from '../request-facts.ts';
import { factsOf } from '../response-facts.ts';
import { sendText } from '../send.ts';
import type { RouteParts } from './parts.ts';

/** `GET /v1/realtime`: a websocket that one worker's two-way endpoint answers (spec llm 3.5). */
export function realtimeRoute(server: FastifyInstance, parts: RouteParts): void {
  const { realtime } = parts.http.paths;
  routeUpgrades(server, realtime);
  server.get(realtime, async (request, reply) => {
    const upgrade = upgradeOf(request.raw);
    if (upgrade === undefined) return sendText(reply.code(400), "Connection header did not include 'upgrade'");
    const id = requestId(request);
    const facts = factsOf(reply.raw);
    reply.hijack();
    reply.raw.detachSocket(upgrade.socket as Parameters<typeof reply.raw.detachSocket>[0]);
    await carrySession(request.raw, upgrade, (socket) => ({
      cut: (close) => facts?.onCut(close),
      session: new RealtimeSession({
        socket,
        find(name) {
          const model = parts.models.find(name, 'realtime');
          // A key that may not ask a model is not told of it.
          if (model === undefined || model === 'not-ready' || !parts.access.allows(request, name)) return undefined;
          return (input, signal) => model.raw.generate(wired(input) as unknown as WireRequest, { id, signal });
        },
        failed: (error) => parts.log.warn({ request: id, error: String(error) }, 'a realtime session failed'),
      }),
    }));
    reply.raw.emit('close');
    return reply;
  });
}

async function* wired(events: AsyncIterable<unknown>): AsyncGenerator<WireRequest> {
  for await (const event of events) yield new WireRequest(event);
}
