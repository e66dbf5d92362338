import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A repository of the imitated hub: its files, those that live in large-file storage by name, and who may read it. */
export interface HubRepo {
  readonly sha: string;
  readonly files: Readonly<Record<string, Buffer | string>>;
  /** Files that the hub sends the client elsewhere for. */
  readonly large?: readonly string[];
  readonly gated?: boolean;
  readonly token?: string;
  /** Further names of the commit. */
  readonly revisions?: readonly string[];
}

/** What a test may do to the answers. */
export interface HubFaults {
  /** Called before a file's bytes are sent; the number it returns is where the connection is cut. */
  cut?: (path: string, range: string | undefined) => number | undefined;
  /** Bytes that are sent in place of the file's. */
  corrupt?: (path: string) => Buffer | undefined;
  ignoreRange?: boolean;
}

/** A local server that answers as the Hugging Face hub does: model info, and files with redirects, etags and ranges. */
export interface HubServer extends AsyncDisposable {
  readonly url: string;
  /** `METHOD path [range]` of every request. */
  readonly requests: string[];
  readonly faults: HubFaults;
  /** Authorization headers that reached the storage host. */
  readonly leaked: string[];
  readonly repos: Map<string, HubRepo>;
}

const bytesOf = (content: Buffer | string): Buffer => (typeof content === 'string' ? Buffer.from(content) : content);
const gitHash = (bytes: Buffer): string => createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** Starts the imitation, and a second server as its storage. */
export async function startHub(repos: Readonly<Record<string, HubRepo>>): Promise<HubServer> {
  const hub: Omit<HubServer, 'url' | typeof Symbol.asyncDispose> = { requests: [], faults: {}, leaked: [], repos: new Map(Object.entries(repos)) };

  function send(path: string, bytes: Buffer, { request, response, headers }: Exchange): void {
    const range = hub.faults.ignoreRange === true ? undefined : request.headers.range;
    const start = Number(/^bytes=(\d+)-/.exec(range ?? '')?.[1] ?? 0);
    if (range !== undefined && start >= bytes.length) return void response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
    const body = (hub.faults.corrupt?.(path) ?? bytes).subarray(start);
    response.writeHead(range === undefined ? 200 : 206, {
      ...headers,
      'content-length': body.length,
      'accept-ranges': 'bytes',
      ...(range === undefined ? {} : { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` }),
    });
    const cut = request.method === 'HEAD' ? undefined : hub.faults.cut?.(path, request.headers.range);
    if (cut === undefined) return void response.end(body);
    // An end in order: what was sent does arrive.
    response.write(body.subarray(0, cut), () => response.socket?.end());
  }

  const storage = await listen((request, response) => {
    if (request.headers.authorization !== undefined) hub.leaked.push(request.headers.authorization);
    const [, hash] = (request.url ?? '').split('/');
    hub.requests.push(`${request.method} storage${request.headers.range === undefined ? '' : ` ${request.headers.range}`}`);
    for (const repo of hub.repos.values())
      for (const [name, content] of Object.entries(repo.files))
        if (sha256(bytesOf(content)) === hash) return send(name, bytesOf(content), { request, response, headers: { etag: '"storage"' } });
    response.writeHead(404).end();
  });

  const front = await listen((request, response) => {
    const url = decodeURIComponent((request.url ?? '').split('?')[0] ?? '');
    hub.requests.push(`${request.method} ${url}${request.headers.range === undefined ? '' : ` ${request.headers.range}`}`);
    const refuse = (status: number, code: string, message: string): void =>
      void response
        .writeHead(status, { 'x-error-code': code, 'x-error-message': message, 'content-type': 'application/json' })
        .end(JSON.stringify({ error: message }));
    const tree = /^\/api\/models\/(.+?)\/tree\/(.+)$/.exec(url);
    const info = tree !== null ? null : /^\/api\/models\/(.+?)(?:\/revision\/(.+))?$/.exec(url);
    const file = /^\/(.+?)\/resolve\/([^/]+)\/(.+)$/.exec(url);
    const [, name = '', revision = 'main', path = ''] = tree ?? info ?? file ?? [];
    const repo = hub.repos.get(name);
    const signed = request.headers.authorization;
    if (repo === undefined) return refuse(signed === undefined ? 401 : 404, 'RepoNotFound', 'Repository not found');
    if (repo.token !== undefined && signed !== `Bearer ${repo.token}`) {
      if (repo.gated === true && file !== null)
        return refuse(signed === undefined ? 401 : 403, 'GatedRepo', `Access to model ${name} is restricted.`);
      if (repo.gated !== true) return refuse(signed === undefined ? 401 : 404, 'RepoNotFound', 'Repository not found');
    }
    if (!['main', repo.sha, ...(repo.revisions ?? [])].includes(revision)) return refuse(404, 'RevisionNotFound', `Invalid rev id: ${revision}`);
    if (tree !== null) {
      const entries = Object.entries(repo.files).map(([name, content]) => {
        const bytes = bytesOf(content);
        const lfs = { oid: sha256(bytes), size: bytes.length, pointerSize: 130 };
        return { type: 'file', path: name, oid: gitHash(bytes), size: bytes.length, ...(repo.large?.includes(name) === true ? { lfs } : {}) };
      });
      return void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(entries));
    }
    if (info !== null) {
      const siblings = Object.keys(repo.files).map((rfilename) => ({ rfilename }));
      return void response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ id: name, sha: repo.sha, gated: repo.gated ?? false, private: false, siblings, tags: [], downloads: 0 }));
    }
    const content = repo.files[path];
    if (content === undefined) return refuse(404, 'EntryNotFound', 'Entry not found');
    const bytes = bytesOf(content);
    if (repo.large?.includes(path) !== true)
      return send(path, bytes, { request, response, headers: { etag: `"${gitHash(bytes)}"`, 'x-repo-commit': repo.sha } });
    const hash = sha256(bytes);
    response
      .writeHead(302, {
        location: `${storage.url}/${hash}`,
        'x-linked-etag': `"${hash}"`,
        'x-linked-size': bytes.length,
        'x-repo-commit': repo.sha,
        etag: '"pointer"',
      })
      .end();
  });
  return {
    ...hub,
    url: front.url,
    async [Symbol.asyncDispose]() {
      await front[Symbol.asyncDispose]();
      await storage[Symbol.asyncDispose]();
    },
  };
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly headers: Readonly<Record<string, string>>;
}

async function listen(handler: (request: IncomingMessage, response: ServerResponse) => void): Promise<{ url: string } & AsyncDisposable> {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
