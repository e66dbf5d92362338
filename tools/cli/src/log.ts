import { lineLogger, type ProcessLogger } from '@dynamo/runtime/internal';
import type { Settings } from './settings.ts';

/** The logger of a command: its settings say which lines, the environment says in which form. */
export const openLog = (settings: Settings): ProcessLogger => lineLogger({ env: { ...process.env, DYN_LOG: settings.log }, target: 'dynamo' });
