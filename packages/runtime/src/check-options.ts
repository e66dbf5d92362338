import { badValue, checkMethods, checkNumber, checkSignal, checkTexts, checkType, checkWord, longestMs, someMs } from './check.ts';
import type { CallOptions, ClientOptions } from './client/types.ts';
import type { ServeOptions } from './endpoint/serve.ts';
import { ports } from './environment.ts';
import type { ConnectOptions } from './options.ts';

/** @throws DynamoError `invalid_argument` that names the first option that can't be taken. */
export function checkConnectOptions(options: ConnectOptions): void {
  checkType('options', options, 'object');
  const { discovery, eventPlane, system, timeouts, drainMs, log, signal } = options;
  if (typeof discovery !== 'string') checkMethods('discovery', discovery, ['put', 'list', 'watch']);
  if (typeof eventPlane !== 'string') checkType('eventPlane', eventPlane, 'object');
  if (system !== undefined && system !== false) {
    checkType('system', system, 'object');
    if (system.port === undefined) throw badValue('system.port', system.port, 'a port');
    checkNumber('system.port', system.port, ports);
    checkType('system.host', system.host, 'string');
  }
  checkType('timeouts', timeouts, 'object');
  for (const [name, ms] of Object.entries(timeouts ?? {})) checkNumber(`timeouts.${name}`, ms, someMs);
  checkNumber('drainMs', drainMs, { least: 0, most: longestMs });
  checkMethods('log', log, ['debug', 'info', 'warn', 'error']);
  checkSignal('signal', signal);
}

/** @throws DynamoError `invalid_argument` that names the first argument that can't be taken. */
export function checkServeOptions(handler: unknown, options: ServeOptions): void {
  if (typeof handler !== 'function') throw badValue('handler', handler, 'a function');
  checkType('options', options, 'object');
  checkType('drain', options.drain, 'boolean');
  checkWord('input', options.input, ['item', 'stream']);
  checkTexts('labels', options.labels);
  checkSignal('signal', options.signal);
}

/** @throws DynamoError `invalid_argument` that names the first option that can't be taken. */
export function checkClientOptions(options: ClientOptions, policies: readonly string[]): void {
  checkType('options', options, 'object');
  if (typeof options.policy === 'object') checkMethods('policy', options.policy, ['pick']);
  else checkWord('policy', options.policy, policies);
  checkType('affinity', options.affinity, 'object');
}

/** @throws DynamoError `invalid_argument` that names the first option that can't be taken. Asked for each call: what is absent costs next to nothing. */
export function checkCallOptions(call: CallOptions): void {
  if (typeof call !== 'object' || call === null) throw badValue('options', call, 'an object');
  const { timeoutMs, firstItemMs, idleMs, id, instance, session, headers, metadata, signal } = call;
  if (timeoutMs !== undefined) checkNumber('timeoutMs', timeoutMs, someMs);
  if (firstItemMs !== undefined) checkNumber('firstItemMs', firstItemMs, someMs);
  if (idleMs !== undefined) checkNumber('idleMs', idleMs, someMs);
  if (id !== undefined) checkType('id', id, 'string');
  if (session !== undefined) checkType('session', session, 'string');
  if (headers !== undefined) checkTexts('headers', headers);
  if (metadata !== undefined) checkTexts('metadata', metadata);
  if (signal !== undefined) checkSignal('signal', signal);
  if (instance === undefined) return;
  checkType('instance', instance, 'bigint');
  if (instance < 0n || instance >= 1n << 64n) throw badValue('instance', instance, 'an unsigned 64-bit integer');
}
