import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { DynamoError } from '@dynamo/runtime';
import type { Account, Shortage } from '../access/account.ts';
import type { ApiKeys } from '../access/api-keys.ts';
import type { RequestRecord } from '../frontend/frontend-metrics.ts';
import type { AdminRelay } from './admin-relay.ts';
import { asksModel, isAdmin, routeOf } from './admission.ts';
import { failure } from './errors.ts';
import { refusal } from './refusal.ts';
import type { AskedFor } from './request-story.ts';

/** To whom the admin routes are open: to keys with admin rights, or to everybody as in 1.6.1. */
export type AdminAccess = 'guarded' | 'open';

/** Checks who asks: keys, their models and their limits, in OpenAI's shape of errors. */
export class Access {
  /** Makes changes in all processes of the frontend; undefined where there is one. */
  readonly relay: AdminRelay | undefined;
  readonly #keys: ApiKeys | undefined;
  readonly #admin: AdminAccess;
  readonly #open: ReadonlySet<string>;
  readonly #accounts = new WeakMap<FastifyRequest, Account>();

  /** `open` are the routes that need no key: those that tell whether the process is alive. */
  constructor(options: {
    readonly relay?: AdminRelay | undefined;
    readonly keys: ApiKeys | undefined;
    readonly admin: AdminAccess;
    readonly open: readonly string[];
  }) {
    this.#keys = options.keys;
    this.relay = options.relay;
    this.#open = new Set(options.open);
    this.#admin = options.admin;
  }

  /** Puts the check before every route, known or not: before a body is read, and before anything is looked up. */
  guard(server: FastifyInstance): void {
    server.addHook('onRequest', (request, reply, done) => {
      try {
        this.#check(request, reply);
        done();
      } catch (error) {
        done(error as Error);
      }
    });
  }

  /** Whether the key of a request may ask a model. */
  allows(request: FastifyRequest, model: string): boolean {
    return this.#accounts.get(request)?.mayAsk(model) !== false;
  }

  /** Checks what is asked for once it is known, and gives back a record that keeps the books of the key's tokens. */
  metered({ request, reply }: { request: FastifyRequest; reply: FastifyReply }, asked: AskedFor, open: () => RequestRecord): RequestRecord {
    return this.meteredBy(this.#accounts.get(request), asked, open, (headers) => void reply.headers(headers));
  }

  /** The same for whoever came by another door; `tell` says what is left. */
  meteredBy(
    account: Account | undefined,
    asked: AskedFor,
    open: () => RequestRecord,
    tell: (headers: Record<string, string>) => void = () => undefined,
  ): RequestRecord {
    if (account === undefined) return open();
    if (!account.mayAsk(asked.model)) throw denied(403, 'model_not_allowed', `API key '${account.entry.id}' may not ask model '${asked.model}'`);
    const books = account.openBooks();
    const record = open();
    return {
      stages: record.stages,
      input(tokens) {
        record.input(tokens);
        const short = books.reserve(tokens, asked.answerTokens);
        if (short !== undefined) throw limited(account, short);
        tell(limitHeaders(account));
      },
      output(tokens) {
        books.spend(tokens);
        record.output(tokens);
      },
      cached: (tokens) => record.cached(tokens),
      end(outcome) {
        books.settle((outcome.errorType ?? '') !== '');
        record.end(outcome);
      },
    };
  }

  /** Who asks by another door, if that is to be known. */
  holder(headers: KeyHeaders): Account | undefined {
    return this.#keys === undefined ? undefined : this.#holder(this.#keys, headers);
  }

  /** The same, for a request that an answer is made for. */
  admit(headers: KeyHeaders): Account | undefined {
    const account = this.holder(headers);
    const short = account?.takeRequest();
    if (account !== undefined && short !== undefined) throw limited(account, short);
    return account;
  }

  #check(request: FastifyRequest, reply: FastifyReply): void {
    const admin = isAdmin(request);
    if (admin && (this.#admin === 'open' || this.relay?.isRelayed(request) === true)) return;
    if (this.#keys === undefined) {
      if (admin) throw denied(403, 'admin_closed', closedAdmin);
      return;
    }
    if (this.#open.has(routeOf(request) ?? '')) return;
    const account = this.#holder(this.#keys, request.headers);
    if (admin && account.entry.admin !== true) throw denied(403, 'admin_required', `API key '${account.entry.id}' has no admin rights`);
    this.#accounts.set(request, account);
    if (!asksModel(request)) return;
    const short = account.takeRequest();
    if (short !== undefined) throw limited(account, short);
    void reply.headers(limitHeaders(account));
  }

  #holder(keys: ApiKeys, headers: KeyHeaders): Account {
    const key = keyOf(headers);
    if (key === undefined) throw denied(401, 'invalid_api_key', "There is no API key: send it as 'Authorization: Bearer KEY'");
    const account = keys.find(key);
    if (account === undefined) throw denied(401, 'invalid_api_key', 'The API key is not known here');
    if (account.expired(Date.now())) throw denied(401, 'expired_api_key', `API key '${account.entry.id}' has expired`);
    return account;
  }
}

/** Headers among which a key may stand. */
type KeyHeaders = Readonly<Record<string, string | readonly string[] | undefined>> & { readonly authorization?: string | undefined };

const closedAdmin =
  'The admin routes are closed on this port: give a key admin rights (--api-keys-path), or open them to everybody (--admin-api open), as the real frontend does';

function keyOf(headers: KeyHeaders): string | undefined {
  const [, bearer] = /^bearer +(\S+) *$/i.exec(headers['authorization'] ?? '') ?? [];
  const plain = headers['x-api-key'];
  return bearer ?? (typeof plain === 'string' && plain !== '' ? plain : undefined);
}

/** OpenAI's envelope of an error. */
const envelope = (told: { message: string; type: string; code: string }): object => ({ error: { ...told, param: null } });

function denied(status: 401 | 403, code: string, message: string): DynamoError {
  const headers = status === 401 ? { 'www-authenticate': 'Bearer realm="dynamo"' } : {};
  const told = { ...failure(status, message), headers, envelope: envelope({ message, type: 'invalid_request_error', code }) };
  return refusal(status === 401 ? 'unauthenticated' : 'permission_denied', told, { knob: code });
}

function limited(account: Account, { kind, bucket, asked }: Shortage): DynamoError {
  const left = Math.max(0, Math.floor(bucket.left));
  const waitMs = bucket.waitMs(asked);
  const comes = Number.isFinite(waitMs) ? `try again in ${seconds(waitMs)} s` : 'which it never has at once';
  const message = `Limit of API key '${account.entry.id}' reached: ${bucket.perMinute} ${kind} a minute, ${left} left, ${asked} asked for; ${comes}`;
  const told = {
    ...failure(429, message),
    headers: { ...limitHeaders(account), ...(Number.isFinite(waitMs) ? { 'retry-after': String(seconds(waitMs)) } : {}) },
    envelope: envelope({ message, type: kind, code: 'rate_limit_exceeded' }),
  };
  return refusal('rate_limited', told, { knob: `${kind}PerMinute` });
}

/** What is left, in the headers that OpenAI's clients read. */
function limitHeaders(account: Account): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const { kind, bucket } of account.allowances) {
    headers[`x-ratelimit-limit-${kind}`] = String(bucket.perMinute);
    headers[`x-ratelimit-remaining-${kind}`] = String(Math.max(0, Math.floor(bucket.left)));
    headers[`x-ratelimit-reset-${kind}`] = `${(bucket.waitMs(bucket.perMinute) / 1_000).toFixed(3)}s`;
  }
  return headers;
}

const seconds = (ms: number): number => Math.max(1, Math.ceil(ms / 1_000));
