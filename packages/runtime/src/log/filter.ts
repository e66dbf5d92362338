import { readFileSync } from 'node:fs';

/** Levels from quiet to loud: a filter lets a level pass that is not louder than its own. */
export const levels = ['off', 'error', 'warn', 'info', 'debug', 'trace'] as const;

/** One of the words of `DYN_LOG`. */
export type LogLevel = (typeof levels)[number];

/** Which lines are written: the loudest level of a target, as a place in `levels`. */
export type LogFilter = (target: string) => number;

/** Where the real system looks for its log settings (spec lora-recorder-misc 5). */
const configPath = '/opt/dynamo/etc/logging.toml';

/**
 * Reads a filter as the real system does: a level, or a comma list of `target=level` with at most one level for the rest.
 *
 * A target stands for every target that begins with it, and the longest one that fits decides. A target without a level is
 * as loud as can be, numbers from 0 to 5 are levels, and what is no level is a target. Without a level for the rest, the
 * rest is silent.
 *
 * @example
 * parseFilter('warn,dynamo_runtime::discovery=debug');
 */
export function parseFilter(text: string): LogFilter {
  let rest = 0;
  const targets: { readonly target: string; readonly level: number }[] = [];
  for (const part of text.split(',').map((one) => one.trim())) {
    if (part === '') continue;
    const [target = '', word] = part.split('=', 2);
    const level = levelOf(word ?? target);
    if (word === undefined && level !== undefined) rest = level;
    else if (word === undefined) targets.push({ target, level: loudest });
    // A level that does not exist is no rule: the real system leaves it out too.
    else if (level !== undefined) targets.push({ target: target.trim(), level });
  }
  targets.sort((a, b) => b.target.length - a.target.length);
  return (target) => targets.find((rule) => target.startsWith(rule.target))?.level ?? rest;
}

/** The filter of the environment: `DYN_LOG`, else the file of `DYN_LOGGING_CONFIG_PATH`, else `info` (spec lora-recorder-misc 5). */
export function filterOf(env: Readonly<Record<string, string | undefined>>): LogFilter {
  if (env['DYN_LOG']) return parseFilter(env['DYN_LOG']);
  return parseFilter(readConfig(env['DYN_LOGGING_CONFIG_PATH'] || configPath) ?? 'info');
}

const loudest = levels.length - 1;

function levelOf(word: string): number | undefined {
  const name = word.trim().toLowerCase();
  const at = /^[0-5]$/.test(name) ? Number(name) : levels.indexOf((name === 'warning' ? 'warn' : name) as LogLevel);
  return at < 0 ? undefined : at;
}

/** The two things that the real system's file holds, `log_level` and `[log_filters]`, as a filter's text. */
function readConfig(path: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
  const level = /^\s*log_level\s*=\s*["'](.*?)["']/m.exec(text)?.[1] ?? 'info';
  const table = /^\s*\[log_filters\]\s*$([\s\S]*?)(?=^\s*\[|$(?![\s\S]))/m.exec(text)?.[1] ?? '';
  const rules = [...table.matchAll(/^\s*["']?([^"'=\s#]+)["']?\s*=\s*["'](.*?)["']/gm)].map(([, target, word]) => `${target}=${word}`);
  return [level, ...rules].join(',');
}
