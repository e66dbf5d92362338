import { readFile } from 'node:fs/promises';
import { DynamoError } from '@dynamo/runtime';
import { defaultCostSettings, type PolicyConfig, readPolicyConfig } from '../wire/policy-config.ts';

/**
 * Reads the YAML file of `--router-policy-config` (spec kv-router 9).
 *
 * @throws DynamoError `invalid_argument` in the words of 1.6.1, without the line numbers that it adds to some.
 */
export async function loadPolicyFile(path: string): Promise<PolicyConfig> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new DynamoError('invalid_argument', `failed to read router policy config ${path}: ${why}`, { cause });
  }
  const config = readPolicyConfig(await parsed(text, path), path);
  // A way to rank workers that there is not is told before anything begins.
  for (const instance of config.selectors) defaultCostSettings(instance);
  return config;
}

async function parsed(text: string, path: string): Promise<unknown> {
  const { parseDocument } = await import('yaml');
  const document = parseDocument(text, { version: '1.2', strict: true, uniqueKeys: true });
  const [error] = document.errors;
  if (error !== undefined)
    throw new DynamoError('invalid_argument', `failed to parse router policy config ${path}: ${error.message.split('\n')[0]}`, { cause: error });
  return document.toJS({ maxAliasCount: 100 });
}
