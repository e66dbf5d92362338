/** Where one endpoint stands; disposing takes it off the board. */
export interface EndpointStatus extends Disposable {
  ready: boolean;
}

/** Answers one call inside the process: the first item of an endpoint's handler, undefined when there was none. */
export type LocalCall = (payload: unknown) => Promise<{ readonly item: unknown } | undefined>;

interface Entry {
  readonly name: string;
  readonly checked: boolean;
  readonly call: LocalCall;
  ready: boolean;
}

/** What the status server shows of a runtime. */
export class StatusBoard {
  /** The word of the process itself; it counts as long as no endpoint is checked (spec runtime-wire 14). */
  ready: boolean;
  readonly #healthChecks: boolean;
  readonly #started = process.hrtime.bigint();
  readonly #entries = new Set<Entry>();
  readonly #routes = new Map<string, (body: unknown) => Promise<unknown>>();
  #withdrawn = false;

  constructor(options: { startsReady: boolean; healthChecks: boolean }) {
    this.ready = options.startsReady;
    this.#healthChecks = options.healthChecks;
  }

  /** Shows an endpoint. One with a health check that is carried out is not ready before the first good answer. */
  add(endpoint: { name: string; checked: boolean; call: LocalCall }): EndpointStatus {
    const entry: Entry = { ...endpoint, ready: !(endpoint.checked && this.#healthChecks) };
    this.#entries.add(entry);
    return Object.assign(entry, { [Symbol.dispose]: () => void this.#entries.delete(entry) });
  }

  /** How to call a served endpoint in process, by its name alone; the latest of several. */
  local(name: string): LocalCall | undefined {
    return [...this.#entries].findLast((entry) => entry.name === name)?.call;
  }

  /** Nothing is ready any more, whatever is said later. */
  withdraw(): void {
    this.#withdrawn = true;
    for (const entry of this.#entries) entry.ready = false;
  }

  /** Adds a route below /engine. */
  route(name: string, handler: (body: unknown) => Promise<unknown>): Disposable {
    this.#routes.set(name, handler);
    return {
      [Symbol.dispose]: () => {
        if (this.#routes.get(name) === handler) this.#routes.delete(name);
      },
    };
  }

  find(name: string): ((body: unknown) => Promise<unknown>) | undefined {
    return this.#routes.get(name);
  }

  /** Endpoints with a health check speak for the process; without one, all of them where checks are on, else its own word. */
  get healthy(): boolean {
    if (this.#withdrawn) return false;
    const entries = [...this.#entries];
    const checked = entries.filter((entry) => entry.checked);
    if (checked.length > 0) return checked.every((entry) => entry.ready);
    return this.#healthChecks && entries.length > 0 ? entries.every((entry) => entry.ready) : this.ready;
  }

  /** Body of /health and /live, in the real system's form (spec runtime-wire 14). Endpoints that share a name share a line. */
  health(): string {
    const nanos = process.hrtime.bigint() - this.#started;
    const endpoints = new Map<string, boolean>();
    for (const { name, ready } of this.#entries) endpoints.set(name, ready && endpoints.get(name) !== false);
    const word = (ready: boolean): string => (ready ? 'ready' : 'notready');
    return JSON.stringify({
      status: word(this.healthy),
      uptime: { secs: Number(nanos / 1_000_000_000n), nanos: Number(nanos % 1_000_000_000n) },
      endpoints: Object.fromEntries([...endpoints].map(([name, ready]) => [name, word(ready)])),
    });
  }
}
