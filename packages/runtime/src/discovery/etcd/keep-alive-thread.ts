import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { callMs, EtcdConnection } from './connection.ts';
import { isLeaseLost } from './errors.ts';
import type { KeepAliveOrder, KeepAliveTidings } from './keep-alive.ts';

/** How soon a beat that failed is tried again, in milliseconds. */
const retryMs = 500;

const { access, id, everyMs } = workerData as KeepAliveOrder;
const connection = new EtcdConnection(access);
const tell = (tidings: KeepAliveTidings): void => parentPort?.postMessage(tidings);

async function beat(): Promise<KeepAliveTidings> {
  try {
    return (await connection.keepAlive(id, { limitMs: Math.min(callMs, everyMs) })) > 0 ? { type: 'alive' } : { type: 'lost' };
  } catch (error) {
    return isLeaseLost(error) ? { type: 'lost' } : { type: 'failed', error: String(error) };
  }
}

for (;;) {
  const began = performance.now();
  const tidings = await beat();
  tell(tidings);
  const wait = tidings.type === 'alive' ? everyMs : Math.min(retryMs, everyMs);
  await sleep(Math.max(0, began + wait - performance.now()));
}
