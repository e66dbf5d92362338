import { whatIf, whatIfTable } from '@dynamo/kv-router/internal';
import { DynamoError } from '@dynamo/runtime';
import { routerSettings } from '../router-options.ts';
import type { Settings } from '../settings.ts';
import { UsageError } from '../usage.ts';

/** Runs a recording's traffic again: with the recorded options, and with those that the command line names. */
export async function runWhatIf(settings: Settings): Promise<number> {
  const { recording, loadAware } = settings.router;
  if (recording === undefined) throw new UsageError('the recording is missing: dynamo router what-if FILE');
  const named = routerSettings(settings);
  const words = Object.entries(named).map(([name, value]) => `${name}=${String(value)}`);
  const name = loadAware ? 'load-aware' : words.join(' ');
  // Events or decisions: the setting decides, whatever the recording's router had.
  const index = named.kvEvents === undefined ? {} : { index: named.kvEvents ? ('events' as const) : ('approximate' as const) };
  const variants = words.length === 0 ? [] : [{ name, options: { settings: named, ...index } }];
  try {
    process.stdout.write(whatIfTable(await whatIf(recording, variants)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new UsageError(`${recording} does not exist`);
    if (DynamoError.is(error, 'backend_protocol')) throw new UsageError(error.message);
    throw error;
  }
  return 0;
}
