import { DynamoError, type Logger } from '@dynamo/runtime';
import type { HttpOptions } from '../settings.ts';
import { FileResponses } from './file-store.ts';
import { MemoryResponses } from './memory-store.ts';
import type { ResponseStore } from './store.ts';

type Options = NonNullable<HttpOptions['responses']>;

const mib = 1024 * 1024;

/** How a store of each kind is opened. */
const stores: Readonly<Record<NonNullable<Options['store']>, (options: Options, log: Logger) => ResponseStore | undefined>> = {
  none: () => undefined,
  memory: ({ limitMb = 64 }) => new MemoryResponses({ limitBytes: limitMb * mib }),
  file({ folder = '', limitMb = 1_024 }, log) {
    if (folder === '') throw invalid('http.responses.folder is needed where responses are kept in files');
    const failed = (error: unknown): void => log.warn({ folder, error: String(error) }, 'a response could not be kept');
    return new FileResponses({ folder, limitBytes: limitMb * mib, failed });
  },
};

/**
 * Opens what keeps responses; undefined where nothing is to be kept.
 *
 * @throws DynamoError `invalid_argument` for an unknown store, a limit that is none, or files without a folder.
 */
export function openResponses(options: Options, log: Logger): ResponseStore | undefined {
  const { store = 'memory', limitMb } = options;
  if (!Object.hasOwn(stores, store)) throw invalid(`http.responses.store must be one of ${Object.keys(stores).join(', ')}, got '${store}'`);
  if (limitMb !== undefined && !(Number.isSafeInteger(limitMb) && limitMb > 0))
    throw invalid(`http.responses.limitMb must be a whole number above 0, got ${limitMb}`);
  return stores[store](options, log);
}

const invalid = (message: string): DynamoError => new DynamoError('invalid_argument', message);
