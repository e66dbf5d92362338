import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ListedModel, Readiness } from '../../frontend/serving-model.ts';
import { failure } from '../errors.ts';
import { send, sendJson } from '../send.ts';
import type { RouteParts } from './parts.ts';

/** `GET /v1/models`, `/v1/models/{id}` and `/v1/models/{id}/ready`; ids may hold slashes (spec llm 3.1). */
export function modelsRoutes(server: FastifyInstance, parts: RouteParts): void {
  const { models } = parts.http.paths;
  const ofMessages = ({ headers }: FastifyRequest): boolean => parts.http.messages.enabled && headers['anthropic-version'] !== undefined;
  server.get(models, (request, reply) => {
    const listed = parts.models.list();
    return sendJson(reply, JSON.stringify(ofMessages(request) ? messagesModels(listed) : { object: 'list', data: listed.map(wireModel) }));
  });
  server.get<{ Params: { '*': string } }>(`${models}/*`, (request, reply) => {
    const asked = request.params['*'];
    if (asked === '') return send(reply, failure(404, `Route not found: ${request.method} ${models}/`));
    const found = parts.models.list().find(({ id }) => id === asked);
    if (found !== undefined) return sendJson(reply, JSON.stringify((ofMessages(request) ? messagesModel : wireModel)(found)));
    const name = asked.endsWith('/ready') ? asked.slice(0, -'/ready'.length) : undefined;
    const readiness = name === undefined ? undefined : parts.models.readiness(name);
    if (name === undefined || readiness === undefined) return send(reply, failure(404, 'Model not found'));
    const told = wireReadiness(name, readiness);
    if (!readiness.some(({ ready }) => ready)) void reply.code(503);
    return sendJson(reply, JSON.stringify(told));
  });
}

const wireModel = (model: ListedModel): unknown => ({
  id: model.id,
  object: 'model',
  created: model.created,
  owned_by: 'nvidia',
  context_window: model.contextLength,
});

/** A model as the clients of the Messages API expect it. */
const messagesModel = ({ id, created, contextLength }: ListedModel): unknown => ({
  id,
  display_name: id,
  type: 'model',
  created_at: new Date(created * 1_000).toISOString().replace(/\.\d+Z$/, 'Z'),
  max_input_tokens: contextLength,
});

/** The list as they expect it. */
const messagesModels = (models: readonly ListedModel[]): unknown => ({
  data: models.map(messagesModel),
  has_more: false,
  first_id: models[0]?.id ?? null,
  last_id: models.at(-1)?.id ?? null,
});

const wireReadiness = (model: string, namespaces: readonly Readiness[]): unknown => ({
  model,
  ready: namespaces.some(({ ready }) => ready),
  ...(namespaces.some(({ ready }) => ready) ? {} : { reason: 'no namespace has all required worker types live' }),
  namespaces: Object.fromEntries(
    namespaces.map(({ namespace, roles, missing, ready }) => [
      namespace,
      {
        ready,
        ...(missing.length === 0 ? {} : { reason: `missing worker types: ${missing.join(', ')}` }),
        worker_types: Object.fromEntries(roles.map(({ role, workers, needs }) => [role, { workers, needs }])),
        present: roles.map(({ role }) => role),
        missing_worker_types: missing,
      },
    ]),
  ),
});
