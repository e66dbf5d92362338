import { DynamoError, type DynamoErrorCode } from '@dynamo/runtime';
import { isSafePath, type ModelId } from './model-id.ts';
import type { HubPlace } from './place.ts';

/** What the hub says of a file: its checksum and length. */
export interface HubFile {
  readonly path: string;
  /** SHA-256 of a large file, Git's blob hash of a small one; names it in the cache. */
  readonly etag: string;
  readonly size: number;
}

/** The hub's answers that fetching needs. */
export interface HubApi {
  /** The commit of a revision, and its files. */
  list(model: ModelId): Promise<{ commit: string; files: readonly string[] }>;
  describe(repo: string, commit: string, path: string): Promise<HubFile>;
  /** The bytes of a file from `start` on; the answer is 200 where the hub sends it whole, 206 or 416. */
  open(file: { repo: string; commit: string; path: string; start: number; signal: AbortSignal }): Promise<Response>;
}

const identity = { 'accept-encoding': 'identity', 'user-agent': 'dynamo-ts' };
/** Longest wait for an answer that is no file. */
const answerMs = 60_000;

/** Speaks with the hub over HTTP. */
export function hubApi({ endpoint, token }: HubPlace, signal: AbortSignal | undefined): HubApi {
  const headers = token === undefined ? identity : { ...identity, authorization: `Bearer ${token}` };
  const within = (): AbortSignal => AbortSignal.any([AbortSignal.timeout(answerMs), ...(signal === undefined ? [] : [signal])]);
  const urlOf = (repo: string, commit: string, path: string): string =>
    `${endpoint}/${repo}/resolve/${encodeURIComponent(commit)}/${path.split('/').map(encodeURIComponent).join('/')}`;
  const ask = (url: string, init: RequestInit): Promise<Response> =>
    fetch(url, { headers, ...init }).catch((cause: unknown) => unreachable(url, cause, signal));

  return {
    async list({ repo, revision }) {
      const answer = await ask(`${endpoint}/api/models/${repo}/revision/${encodeURIComponent(revision)}`, { signal: within() });
      await checkAnswer(answer, `${repo}@${revision}`);
      const { sha, siblings } = ((await answer.json().catch(() => ({}))) ?? {}) as { sha?: unknown; siblings?: unknown };
      if (typeof sha !== 'string' || !/^[\w.-]+$/.test(sha) || !isSafePath(sha) || !Array.isArray(siblings))
        throw new DynamoError('backend_protocol', `${endpoint} answered for '${repo}' with something that is no model`);
      const names = siblings.map((entry: { rfilename?: unknown } | null) => entry?.rfilename).filter((name) => typeof name === 'string');
      const escaping = names.find((name) => !isSafePath(name));
      if (escaping !== undefined) throw new DynamoError('backend_protocol', `the hub names a file outside of model '${repo}': ${escaping}`);
      return { commit: sha, files: names };
    },

    async describe(repo, commit, path) {
      let url = urlOf(repo, commit, path);
      for (let hops = 0; hops < 5; hops++) {
        const answer = await ask(url, { method: 'HEAD', redirect: 'manual', signal: within() });
        const location = answer.headers.get('location');
        // A renamed repository stays on the hub; a file's storage elsewhere says nothing that counts.
        if (answer.status >= 300 && answer.status < 400 && location?.startsWith('/') === true && answer.headers.get('x-linked-etag') === null) {
          url = new URL(location, url).href;
          continue;
        }
        if (answer.status >= 400) await checkAnswer(answer, `${repo}/${path}`);
        return fileOf(path, answer);
      }
      throw new DynamoError('backend_protocol', `${url}: too many redirects`);
    },

    async open({ repo, commit, path, start, signal: stop }) {
      const range = start === 0 ? {} : { range: `bytes=${start}-` };
      const answer = await ask(urlOf(repo, commit, path), { headers: { ...headers, ...range }, signal: stop });
      if (answer.status !== 416) await checkAnswer(answer, `${repo}/${path}`);
      return answer;
    },
  };
}

function fileOf(path: string, { headers }: Response): HubFile {
  const etag = (headers.get('x-linked-etag') ?? headers.get('etag') ?? '').replace(/^W\//, '').replaceAll('"', '');
  const length = headers.get('x-linked-size') ?? headers.get('content-length');
  if (!/^[\w.-]+$/.test(etag) || !isSafePath(etag) || length === null || !/^\d+$/.test(length))
    throw new DynamoError('backend_protocol', `the hub tells no checksum or no size of '${path}'`, { data: { path } });
  return { path, etag, size: Number(length) };
}

/** The error of a call that got no answer: the caller's wish, or what went wrong on the way. */
function unreachable(url: string, cause: unknown, signal: AbortSignal | undefined): never {
  if (signal?.aborted === true) throw new DynamoError('cancelled', 'fetching the model was cancelled', { cause });
  const { origin } = new URL(url);
  if ((cause as Error).name === 'TimeoutError') throw new DynamoError('deadline_exceeded', `${origin} has not answered in time`, { cause });
  throw new DynamoError('cannot_connect', `can't reach ${origin}: set HF_ENDPOINT for another hub, or HF_HUB_OFFLINE=1 to use the cache alone`, {
    cause,
  });
}

/** @throws DynamoError that tells a model that isn't there from one that this token may not read. */
async function checkAnswer(answer: Response, what: string): Promise<void> {
  if (answer.ok) return;
  const reason = answer.headers.get('x-error-code');
  const said = answer.headers.get('x-error-message');
  await answer.body?.cancel();
  const [code, text] = refusalOf(answer.status, reason, what);
  throw new DynamoError(code, said === null ? text : `${text} (${said})`, {
    data: { status: answer.status, ...(reason === null ? {} : { reason }) },
  });
}

function refusalOf(status: number, reason: string | null, what: string): [DynamoErrorCode, string] {
  if (reason === 'GatedRepo')
    return [status === 401 ? 'unauthenticated' : 'permission_denied', `'${what}' is gated: ask for access on the hub and set HF_TOKEN`];
  if (reason === 'RevisionNotFound') return ['not_found', `'${what}': the model has no such revision`];
  if (reason === 'EntryNotFound') return ['not_found', `'${what}' does not exist`];
  // The hub says 401 for names that nobody has, too.
  if (status === 401) return ['unauthenticated', `'${what}' does not exist, or is private: set HF_TOKEN`];
  if (status === 403) return ['permission_denied', `the hub refuses '${what}' to this token`];
  if (status === 404) return ['not_found', `'${what}' does not exist on the hub`];
  if (status === 429) return ['rate_limited', `the hub takes no more requests for now: '${what}'`];
  return ['unavailable', `the hub answered ${status} for '${what}'`];
}
