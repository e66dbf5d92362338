import { localAddress } from '../net/address.ts';
import type { Logger } from '../log.ts';
import { answerEngine } from './engine-routes.ts';
import { type Asked, plain, type Reply, serveHttp, text } from './http.ts';
import { listLoras, loadLora, unloadLora } from './loras.ts';
import type { ModelFiles } from './model-files.ts';
import { percentDecode } from './percent.ts';
import type { StatusBoard } from './status-board.ts';

/** What the status server shows, and where. */
export interface StatusServerOptions {
  readonly host: string;
  readonly port: number;
  readonly healthPath: string;
  readonly livePath: string;
  /** Whether /v1/loras is there. */
  readonly loras: boolean;
  readonly log: Logger;
  readonly metrics: () => Promise<string>;
  readonly files: ModelFiles;
}

/** An open status server. */
export interface StatusServer extends AsyncDisposable {
  /** `http://HOST:PORT` as other machines reach it. */
  readonly url: string;
}

/** One path and what may be asked of it; undefined for a path that is another route's. */
interface Route {
  readonly allow: string;
  answer(asked: Asked): Promise<Reply> | Reply;
}

const reading = 'GET,HEAD';

/** Opens the status server of spec runtime-wire 14. */
export async function openStatusServer(board: StatusBoard, options: StatusServerOptions): Promise<StatusServer> {
  const fixed = fixedRoutes(board, options);
  const server = await serveHttp(options, async (asked) => {
    try {
      const route = fixed.get(asked.path) ?? openRoute(asked.path, board, options);
      if (route === undefined) return text(404, 'Route not found');
      if (route.allow !== '' && !route.allow.split(',').includes(asked.method)) return { status: 405, allow: route.allow };
      return await route.answer(asked);
    } catch (error) {
      options.log.error({ error: String(error), path: asked.path }, 'the status server failed');
      return text(500, String(error));
    }
  });
  const host = ['0.0.0.0', '::'].includes(options.host) ? localAddress() : options.host;
  const url = `http://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${server.port}`;
  options.log.info({ url }, 'status server listens');
  return { url, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

function fixedRoutes(board: StatusBoard, options: StatusServerOptions): ReadonlyMap<string, Route> {
  const health: Route = { allow: reading, answer: () => text(board.healthy ? 200 : 503, board.health()) };
  const routes = new Map<string, Route>([
    [options.healthPath, health],
    [options.livePath, health],
    // Without a version in its type, unlike other exporters (spec metrics 4).
    ['/metrics', { allow: reading, answer: async () => ({ status: 200, type: plain, body: await options.metrics() }) }],
    ['/metadata', { allow: reading, answer: () => text(404, 'Discovery metadata not available') }],
  ]);
  if (options.loras)
    routes.set('/v1/loras', {
      allow: 'GET,HEAD,POST',
      answer: (asked) => (asked.method === 'POST' ? loadLora(board, asked) : listLoras(board)),
    });
  return routes;
}

/** Routes whose path has open parts. */
function openRoute(path: string, board: StatusBoard, options: StatusServerOptions): Route | undefined {
  const engine = after('/engine/', path);
  if (engine !== undefined) return { allow: '', answer: (asked) => named(engine, 'path', (name) => answerEngine(board, name, asked)) };
  const lora = options.loras ? after('/v1/loras/', path) : undefined;
  if (lora !== undefined) return { allow: 'DELETE', answer: () => named(lora, 'lora_name', (name) => unloadLora(board, name)) };
  const file = after('/v1/metadata/', path)?.split('/');
  if (file === undefined || file.length < fileParts.length || file.slice(0, fileParts.length).includes('')) return undefined;
  return { allow: reading, answer: () => answerFile(file, options.files) };
}

/** Parts of a file's path, by the names under which they are complained of. */
const fileParts = ['namespace', 'component', 'endpoint', 'model_slug', 'suffix', 'filename'] as const;

function answerFile(segments: readonly string[], files: ModelFiles): Promise<Reply> | Reply {
  const parts = [...segments.slice(0, fileParts.length - 1), segments.slice(fileParts.length - 1).join('/')];
  const decoded = parts.map(percentDecode);
  const bad = decoded.indexOf(undefined);
  return bad === -1 ? files.answer(decoded as string[]) : notText(fileParts[bad] ?? '');
}

const named = (encoded: string, part: string, answer: (name: string) => Promise<Reply>): Promise<Reply> | Reply => {
  const name = percentDecode(encoded);
  return name === undefined ? notText(part) : answer(name);
};

const notText = (part: string): Reply => text(400, `Invalid URL: Invalid UTF-8 in \`${part}\``);

/** What follows a prefix, when anything does. */
const after = (prefix: string, path: string): string | undefined =>
  path.length > prefix.length && path.startsWith(prefix) ? path.slice(prefix.length) : undefined;
