import { type KvRouterOptions, resolveOptions } from '../options.ts';
import { defined } from './defined.ts';
import type { KvRecorder, KvRecorderOptions } from './recorder.ts';
import { RouteRecorder } from './route-recorder.ts';

/** Begins to record a router with these options. */
export function recordRouting(recorder: KvRecorder, options: KvRouterOptions): RouteRecorder {
  const { blockSize, settings, overload, role } = resolveOptions(options);
  const index = options.index ?? (settings.kvEvents ? 'events' : 'approximate');
  const selector = typeof options.selector === 'object' ? options.selector.name : (options.selector ?? 'default');
  return new RouteRecorder(recorder, { blockSize, index, role, selector, settings, overload: { ...overload } });
}

/** How the option says that files are cut. */
export const limitsOf = ({ maxLinesPerFile }: NonNullable<KvRouterOptions['record']>): KvRecorderOptions => defined({ maxLinesPerFile });
