import { DynamoError } from '@dynamo/runtime';
import type { ReplayOptions } from '../replay.ts';

/** One combination of a sweep: what it changes, and the options that result. */
export interface Variant {
  readonly label: string;
  readonly options: ReplayOptions;
}

type Change = (options: ReplayOptions, value: unknown) => ReplayOptions;

/** What may be varied by a name of its own; engine and router settings go by `engine.` and `router.` and their names. */
const changes: Readonly<Record<string, Change>> = {
  workers: (options, value) => ({ ...options, workers: count('workers', value) }),
  'prefill-workers': (options, value) => ({ ...options, prefillWorkers: count('prefill-workers', value) }),
  'decode-workers': (options, value) => ({ ...options, decodeWorkers: count('decode-workers', value) }),
  concurrency: (options, value) => ({ ...options, concurrency: count('concurrency', value) }),
  'arrival-speedup': (options, value) => ({ ...options, arrivalSpeedup: Number(value) }),
  'event-lag-ms': (options, value) => ({ ...options, eventLagMs: Number(value) }),
  placement: (options, value) => {
    if (value !== 'kv' && value !== 'round-robin') throw wrong(`placement '${String(value)}': expected round-robin or kv`);
    return { ...options, placement: value };
  },
};

const wrong = (message: string): DynamoError => new DynamoError('invalid_argument', message);

function count(name: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1) throw wrong(`${name} '${String(value)}': expected a count above 0`);
  return value;
}

function changeOf(name: string): Change {
  const own = changes[name];
  if (own !== undefined) return own;
  const [group = '', key = ''] = [name.slice(0, name.indexOf('.')), name.slice(name.indexOf('.') + 1)];
  if (group === 'engine' && key !== '')
    return (options, value) => ({
      ...options,
      ...(options.prefillEngine === undefined
        ? { engine: withMember(options.engine, key, value) }
        : { prefillEngine: withMember(options.prefillEngine, key, value), decodeEngine: withMember(options.decodeEngine, key, value) }),
    });
  if (group === 'router' && key !== '')
    return (options, value) => ({
      ...options,
      placement: 'kv',
      router: { ...options.router, settings: { ...options.router?.settings, [camel(key)]: value } },
    });
  throw wrong(`'${name}' can't be varied: expected ${Object.keys(changes).join(', ')}, engine.NAME or router.NAME`);
}

const withMember = (config: unknown, key: string, value: unknown): unknown => {
  const launch = (typeof config === 'string' ? JSON.parse(config) : (config ?? {})) as { readonly engine?: object };
  return { ...launch, engine: { ...launch.engine, [key]: value } };
};

const camel = (name: string): string => name.replaceAll(/[-_](\w)/g, (_, letter: string) => letter.toUpperCase());

/** Text as the value that it is. */
function valueOf(text: string): unknown {
  if (text === 'null') return null;
  if (text === 'true' || text === 'false') return text === 'true';
  const number = Number(text);
  return text.trim() !== '' && Number.isFinite(number) ? number : text;
}

/**
 * All combinations of what is varied: `workers=2,4;engine.block_size=16,64`.
 *
 * @throws DynamoError `invalid_argument` for what can't be varied, or not to that.
 */
export function variantsOf(base: ReplayOptions, sweep: string): Variant[] {
  let variants: Variant[] = [{ label: '', options: base }];
  for (const part of sweep.split(';').filter((text) => text.trim() !== '')) {
    const at = part.indexOf('=');
    const values = at < 0 ? [] : part.slice(at + 1).split(',');
    if (values.length === 0 || values.some((value) => value.trim() === '')) throw wrong(`'${part}': expected NAME=VALUE,VALUE`);
    const name = part.slice(0, at).trim();
    const change = changeOf(name);
    variants = variants.flatMap(({ label, options }) =>
      values.map((value) => ({
        label: `${label === '' ? '' : `${label} `}${name}=${value.trim()}`,
        options: change(options, valueOf(value.trim())),
      })),
    );
  }
  return variants;
}
