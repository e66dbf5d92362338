import { DynamoError } from '@dynamo/runtime';

/** Reads one value; throws an error in the words of the real reader, without the place where it stands. */
export type Reader = (value: unknown) => unknown;

/** One member: how it is read, and what stands in for it when it is absent. No default makes it required. */
export interface Member {
  readonly read: Reader;
  readonly fallback?: unknown;
  /** An absent one stays absent. */
  readonly optional?: boolean;
}

/** A complaint on its way up: each level puts its own name before it. */
class Complaint extends Error {
  readonly path: readonly string[];
  readonly text: string;

  constructor(path: readonly string[], text: string) {
    super(text);
    this.path = path;
    this.text = text;
  }
}

/** What a value is called where another kind was expected. */
function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'string') return `string "${value}"`;
  if (typeof value === 'boolean') return `boolean \`${value}\``;
  if (typeof value === 'number') return Number.isInteger(value) ? `integer \`${value}\`` : `floating point \`${value}\``;
  if (typeof value === 'bigint') return `integer \`${value}\``;
  return Array.isArray(value) ? 'sequence' : 'map';
}

/** Stops the reading with a complaint about a value. */
export function invalid(text: string): never {
  throw new Complaint([], text);
}

const wrongType = (value: unknown, expected: string): never => invalid(`invalid type: ${kindOf(value)}, expected ${expected}`);

/** A whole number between 0 and a limit, under the name of its type. */
export const whole =
  (expected: 'usize' | 'u64' | 'u32' | 'u16', most: number = Number.MAX_SAFE_INTEGER): Reader =>
  (value) => {
    if (typeof value === 'bigint' && expected === 'u64' && value >= 0n && value < 1n << 64n) return value;
    if (typeof value !== 'number' || !Number.isInteger(value)) return wrongType(value, expected);
    return value < 0 || value > most ? invalid(`invalid value: integer \`${value}\`, expected ${expected}`) : value;
  };

/** Any number. */
export const float: Reader = (value) => (typeof value === 'number' ? value : wrongType(value, 'f64'));

/** True or false. */
export const truth: Reader = (value) => (typeof value === 'boolean' ? value : wrongType(value, 'a boolean'));

/** Text. */
export const text: Reader = (value) => (typeof value === 'string' ? value : wrongType(value, 'a string'));

/** One of some words. */
export const variant =
  (...words: readonly string[]): Reader =>
  (value) => {
    if (typeof value !== 'string') return wrongType(value, 'string or map');
    return words.includes(value) ? value : invalid(`unknown variant \`${value}\`, expected ${listed(words, ' or ')}`);
  };

/** Null, or what another reader takes. */
export const nullable =
  (read: Reader): Reader =>
  (value) =>
    value === null ? null : read(value);

/** Anything. */
export const anything: Reader = (value) => value;

/** An object with these members and no others, or with any others when `open`. */
export const struct =
  (name: string, members: Readonly<Record<string, Member>>, options: { readonly open?: boolean } = {}): Reader =>
  (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return wrongType(value, name);
    const given = value as Readonly<Record<string, unknown>>;
    const unknown = Object.keys(given).find((key) => !Object.hasOwn(members, key));
    if (unknown !== undefined && options.open !== true)
      throw new Complaint([unknown], `unknown field \`${unknown}\`, expected ${listed(Object.keys(members), ', ', 'one of ')}`);
    return readMembers(given, members);
  };

function readMembers(given: Readonly<Record<string, unknown>>, members: Readonly<Record<string, Member>>): Record<string, unknown> {
  const read: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(members)) {
    const value = given[key];
    if (value === undefined) {
      if (member.optional === true) continue;
      if (!('fallback' in member)) invalid(`missing field \`${key}\``);
      read[key] = member.fallback;
    } else read[key] = inside(key, () => member.read(value));
  }
  return read;
}

function inside<T>(key: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof Complaint ? new Complaint([key, ...error.path], error.text) : error;
  }
}

/** Words as the real reader lists them: two with `or`, more behind `one of`. */
function listed(words: readonly string[], pair: string, lead = 'one of '): string {
  const quoted = words.map((word) => `\`${word}\``);
  if (quoted.length === 1) return quoted[0] ?? '';
  return quoted.length === 2 ? quoted.join(pair === ', ' ? ' or ' : pair) : `${lead}${quoted.join(', ')}`;
}

/**
 * Runs a reader.
 *
 * @throws DynamoError `invalid_argument` that names the member, in the words of the real reader.
 */
export function readWith(read: Reader, value: unknown, before: string): Record<string, unknown> {
  try {
    return read(value) as Record<string, unknown>;
  } catch (error) {
    if (!(error instanceof Complaint)) throw error;
    const at = error.path.length === 0 ? '' : `${error.path.join('.')}: `;
    throw new DynamoError('invalid_argument', `${before}${at}${error.text}`, { data: { member: error.path.join('.') } });
  }
}
