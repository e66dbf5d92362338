import { badValue } from '../check.ts';
import { DynamoError } from '../error.ts';

/** `namespace.component.endpoint`, optionally after `dyn://`. */
export type EndpointPath = `${string}.${string}.${string}` | `dyn://${string}.${string}.${string}`;

/** The three names of an endpoint. */
export interface EndpointName {
  readonly namespace: string;
  readonly component: string;
  readonly endpoint: string;
}

/**
 * Splits an endpoint path into its three names.
 *
 * @throws DynamoError `invalid_argument` with the real system's text when there are not exactly three.
 */
export function parseEndpointPath(path: string): EndpointName {
  if (typeof path !== 'string') throw badValue('path', path, "'namespace.component.endpoint'");
  const parts = (path.startsWith('dyn://') ? path.slice('dyn://'.length) : path).split('.');
  const [namespace, component, endpoint] = parts;
  if (parts.length !== 3 || namespace === undefined || component === undefined || endpoint === undefined) {
    throw new DynamoError(
      'invalid_argument',
      `Invalid endpoint path '${path}'. Expected format: 'namespace.component.endpoint' or 'dyn://namespace.component.endpoint'`,
      { data: { field: 'path', value: path, path } },
    );
  }
  return { namespace, component, endpoint };
}

/**
 * Checks a path that is about to be served: stricter than the real system, since other characters make discovery keys
 * and subjects ambiguous (spec runtime-wire 1).
 */
export function checkServedPath(name: EndpointName): void {
  for (const [part, value] of Object.entries(name) as [string, string][]) {
    if (/^[A-Za-z0-9_-]+$/.test(value)) continue;
    throw new DynamoError('invalid_argument', `${part} '${value}' may hold only letters, digits, '-' and '_'`, {
      data: { field: part, value, [part]: value },
    });
  }
  const names = Object.values(name).join('');
  const bytes = names.length + 2 * names.replaceAll(/[A-Za-z0-9]/g, '').length;
  if (bytes <= longestNames) return;
  const path = `${name.namespace}.${name.component}.${name.endpoint}`;
  throw badValue('path', path, `names of ${longestNames} bytes together, '-' and '_' counted three times`, longestNames);
}

/** What a file's name of 255 bytes has room for, beside three encoded slashes and the instance's id (spec runtime-wire 3.2). */
const longestNames = 255 - 3 * '%2F'.length - 16;
