import type { FastifyInstance } from 'fastify';
import type { Surface } from '../../frontend/serving-model.ts';
import { failure } from '../errors.ts';
import { send } from '../send.ts';
import type { RouteParts } from './parts.ts';

/** The routes of pictures, films and speech, with the surface that a model needs for each (spec llm 3.1). */
const mediaRoutes: readonly { readonly path: string; readonly surface: Surface; readonly what: string }[] = [
  { path: '/v1/images/generations', surface: 'images', what: 'Images are' },
  { path: '/v1/images/edits', surface: 'images', what: 'Images are' },
  { path: '/v1/videos', surface: 'videos', what: 'Videos are' },
  { path: '/v1/videos/stream', surface: 'videos', what: 'Videos are' },
  { path: '/v1/audio/speech', surface: 'audios', what: 'Speech is' },
];

/** Says that media are not served here, to whoever asks while a worker offers them; without one the route is not there, as in 1.6.1. */
export function notServedHere(server: FastifyInstance, parts: RouteParts): void {
  for (const { path, surface, what } of mediaRoutes) {
    server.post(
      path,
      { onRequest: (_request, reply, done) => (parts.models.has(surface) ? done() : void reply.code(404).send()) },
      (_request, reply) => send(reply, failure(501, `${what} not served here: this frontend answers text routes only`)),
    );
  }
}
