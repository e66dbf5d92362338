import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { reachable } from '../address.ts';
import { fleetVariable } from '../fleet/messages.ts';
import { Switchboard } from '../fleet/switchboard.ts';
import { watchInterruption } from '../interruption.ts';
import { openLog } from '../log.ts';
import { workerEnvironment } from '../serve/environment.ts';
import { WorkerPool } from '../serve/worker-pool.ts';
import type { Settings } from '../settings.ts';
import { UsageError } from '../usage.ts';

const main = fileURLToPath(new URL('../main.ts', import.meta.url));

/** How much longer than its drain a process may take to end, in milliseconds. */
const afterDrainMs = 8_000;

/** How many processes the settings ask for. */
export const processCount = ({ frontend: { httpWorkers } }: Settings): number => (httpWorkers === 'auto' ? availableParallelism() : httpWorkers);

/** Runs several frontend processes on one port until asked to end; one that dies is started again. Resolves with the exit code. */
export async function runFrontendProcesses(settings: Settings): Promise<number> {
  using log = openLog(settings);
  const { http, reusePort, drainSeconds = 30, tls, kserve, grpcMetricsPort } = settings.frontend;
  const port = await usablePort(http, reusePort);
  const count = processCount(settings);
  if (http.responses?.store === 'memory')
    log.warn({ processes: count }, 'each process keeps the answers of /v1/responses for itself: --responses-store file shares them');
  const board = new Switchboard();
  const pool = new WorkerPool({
    count,
    what: 'frontend process',
    drainMs: drainSeconds * 1_000 + afterDrainMs,
    launch: () => launch(port, board),
    log,
  });
  using interruption = watchInterruption(() => {
    pool.kill();
    process.exit(130);
  });
  // After the watch, so that a second signal is heard while this ends.
  await using _running = pool;
  pool.start();
  const early = await Promise.race([pool.allReady.then(() => undefined), interruption.asked, pool.failed]);
  if (early === undefined) {
    const host = http.host.includes(':') ? `[${http.host}]` : http.host;
    const address = `${tls?.certPath === undefined ? 'http' : 'https'}://${host}:${kserve ? grpcMetricsPort : port}`;
    if (kserve) process.stdout.write(`KServe v2 over gRPC listens on ${host}:${port}.\n`);
    const pids = [...pool.running.values()].map(({ pid }) => pid).join(', ');
    process.stdout.write(
      `Dynamo frontend listens on ${address}: ${count} processes (pids ${pids}), ${reachable(address)}/v1/models lists the models.\n`,
    );
  }
  const end = early ?? (await Promise.race([interruption.asked, pool.failed]));
  log.info({ signal: end }, 'draining: running answers of all processes go on to their end');
  return 0;
}

/** A process with the options of this one, but for what makes it one of several. */
function launch(port: number, board: Switchboard): ChildProcess {
  const given = process.argv.slice(process.argv.indexOf('frontend', 2) + 1);
  const child = fork(main, ['frontend', ...given, '--http-port', String(port), '--http-workers', '1', '--http-reuse-port'], {
    env: { ...process.env, ...workerEnvironment, [fleetVariable]: '1' },
    // A Ctrl-C in the terminal reaches this process alone, which ends the others.
    detached: true,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  board.connect(child);
  return child;
}

/** The port that all share, which nobody else may have unless that was asked for; a free one for 0. */
async function usablePort({ host, port }: { readonly host: string; readonly port: number }, reusePort: boolean): Promise<number> {
  const server = createServer();
  try {
    server.listen({ host, port, reusePort });
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(`port ${port} on ${host} ${code === 'EADDRINUSE' ? 'is in use' : `can't be opened (${code})`}`);
  } finally {
    server.close();
  }
}
