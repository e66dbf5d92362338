import { Worker } from 'node:worker_threads';
import type { InstanceId } from '../../endpoint/instance.ts';
import type { Logger } from '../../log.ts';
import type { EtcdAccess } from './connection.ts';

/** What the thread is told when it starts. */
export interface KeepAliveOrder {
  readonly access: EtcdAccess;
  readonly id: InstanceId;
  readonly everyMs: number;
}

/** What the thread says after each beat. */
export type KeepAliveTidings = { readonly type: 'alive' } | { readonly type: 'lost' } | { readonly type: 'failed'; readonly error: string };

/** How soon a thread that has died is started again, in milliseconds. */
const restartMs = 1_000;

/**
 * Renews a lease from a thread of its own until disposed, so that a busy event loop does not lose its registration:
 * the real system's renewals run beside its Python loop too.
 */
export function startKeepAlive(order: KeepAliveOrder, options: { log: Logger; onLost: () => void }): AsyncDisposable {
  const { log, onLost } = options;
  let stopped = false;
  let failing = false;
  let restart: NodeJS.Timeout | undefined;
  const hear = (tidings: KeepAliveTidings): void => {
    if (stopped) return;
    if (tidings.type === 'failed' && !failing) log.warn({ error: tidings.error }, 'could not renew the lease in etcd; trying on');
    if (tidings.type === 'alive' && failing) log.info({ lease: order.id }, 'renews the lease in etcd again');
    if (tidings.type === 'lost') onLost();
    else failing = tidings.type === 'failed';
  };
  const open = (): Worker => {
    const source = import.meta.url.endsWith('.ts');
    const opened = new Worker(new URL(source ? './keep-alive-thread.ts' : './keep-alive-thread.js', import.meta.url), {
      workerData: order,
      execArgv: source ? ['--conditions=@dynamo/source'] : [],
    });
    opened.unref();
    opened.on('message', hear);
    opened.on('error', (error) => log.error({ error: String(error) }, 'the thread that renews the lease has died'));
    opened.once('exit', () => {
      if (!stopped) restart = setTimeout(() => (worker = open()), restartMs).unref();
    });
    return opened;
  };
  let worker = open();
  return {
    async [Symbol.asyncDispose]() {
      stopped = true;
      clearTimeout(restart);
      await worker.terminate();
    },
  };
}
