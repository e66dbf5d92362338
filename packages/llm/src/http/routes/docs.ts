import type { FastifyInstance } from 'fastify';
import { openApiDocument } from '../openapi.ts';
import { sendJson } from '../send.ts';
import type { RouteParts } from './parts.ts';

/** `GET /openapi.json` and a page that shows it, `GET /docs/` (spec llm 3.1). */
export function docsRoutes(server: FastifyInstance, parts: RouteParts): void {
  const { docs, openapi } = parts.http.paths;
  const document = JSON.stringify(openApiDocument(parts.http));
  server.get(openapi, (_request, reply) => sendJson(reply, document));
  server.get(docs, (_request, reply) => reply.code(303).header('location', `${docs}/`).send());
  server.get(`${docs}/`, (_request, reply) => reply.header('content-type', 'text/html').send(Buffer.from(page(openapi))));
}

/** A page of our own: it loads nothing from anywhere else. */
const page = (document: string): string => `<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Dynamo HTTP API</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}code{font-size:1em}dt{margin-top:1rem}</style></head>
<body><h1>Dynamo HTTP API</h1><p>The description for tools is at <a href="${document}"><code>${document}</code></a>.</p><dl id="routes"></dl>
<script>
fetch(${JSON.stringify(document)}).then((answer) => answer.json()).then(({ paths }) => {
  const list = document.getElementById('routes');
  for (const [path, methods] of Object.entries(paths)) for (const [method, { summary, description }] of Object.entries(methods)) {
    const [term, code, text] = ['dt', 'code', 'dd'].map((name) => document.createElement(name));
    code.textContent = method.toUpperCase() + ' ' + path;
    term.append(code, ' ' + summary);
    text.textContent = description;
    list.append(term, text);
  }
});
</script></body></html>
`;
