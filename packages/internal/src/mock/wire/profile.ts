import { DynamoError } from '@dynamo/runtime';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type NumberArray, readNpz } from './npz.ts';

/** Measured tables under the names of the real profile files (spec mocker 6). */
export interface WireProfile {
  readonly prefill_isl: readonly number[];
  readonly prefill_ttft_ms: readonly number[];
  readonly decode_active_kv_tokens: readonly number[];
  readonly decode_context_length: readonly number[];
  readonly decode_itl: readonly (readonly number[])[];
}

/**
 * Reads a profile: one merged NPZ file, or the folder of a profiler's results with NPZ or JSON files.
 *
 * @throws DynamoError `invalid_argument` that says what was expected.
 */
export async function readProfile(path: string): Promise<WireProfile> {
  const facts = await stat(path).catch((cause: unknown) => {
    throw new DynamoError('invalid_argument', `Failed to open profile data: "${path}": ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  });
  if (!facts.isDirectory()) return merged(readNpz(await readFile(path)), path);
  const prefill = await part(path, 'prefill');
  const decode = await part(path, 'decode');
  return fromParts(prefill, decode, path);
}

type Columns = ReadonlyMap<string, NumberArray>;

async function part(folder: string, step: 'prefill' | 'decode'): Promise<Columns> {
  const npz = await readFile(join(folder, `selected_${step}_interpolation`, 'raw_data.npz')).catch(() => undefined);
  if (npz !== undefined) return readNpz(npz);
  const json = await readFile(join(folder, `${step}_raw_data.json`), 'utf8').catch(() => undefined);
  if (json === undefined)
    throw new DynamoError(
      'invalid_argument',
      `Path '${folder}' has neither selected_${step}_interpolation/raw_data.npz nor ${step}_raw_data.json: it is no profiler results directory`,
    );
  const columns = JSON.parse(json) as Readonly<Record<string, unknown>>;
  return new Map(
    Object.entries(columns).map(([name, values]) => {
      const numbers = (Array.isArray(values) ? values.flat(2) : [values]).map(Number);
      return [name, { shape: [numbers.length], values: Float64Array.from(numbers) }];
    }),
  );
}

function column(columns: Columns, name: string, path: string): NumberArray {
  const found = columns.get(name);
  if (found === undefined || found.values.length === 0) throw new DynamoError('invalid_argument', `the profile data of '${path}' has no ${name}`);
  return found;
}

function merged(columns: Columns, path: string): WireProfile {
  const list = (name: string): number[] => [...column(columns, name, path).values];
  const active = list('decode_active_kv_tokens');
  const context = list('decode_context_length');
  const itl = column(columns, 'decode_itl', path).values;
  if (itl.length !== active.length * context.length)
    throw new DynamoError('invalid_argument', `decode_itl of '${path}' has ${itl.length} values, not ${active.length} x ${context.length}`);
  return {
    prefill_isl: list('prefill_isl'),
    prefill_ttft_ms: list('prefill_ttft_ms'),
    decode_active_kv_tokens: active,
    decode_context_length: context,
    decode_itl: active.map((_, row) => [...itl.subarray(row * context.length, (row + 1) * context.length)]),
  };
}

/** Points along each axis of the tables that stand for a profiler's results. */
const resolution = 100;
/** Least time of a pass that a fit may give, in milliseconds. */
const leastMs = 1e-3;

/**
 * Makes tables from a profiler's points as the real command does: a line through the prefill times, a plane over requests
 * and tokens through the decode times, read off at evenly spaced places.
 */
function fromParts(prefill: Columns, decode: Columns, path: string): WireProfile {
  const lengths = [...column(prefill, 'prefill_isl', path).values].map(Math.trunc);
  const line = fitted(
    'prefill',
    lengths.map((length) => [length]),
    [...column(prefill, 'prefill_ttft', path).values],
    [],
  );
  const isl = spaced(Math.min(...lengths), Math.max(...lengths));
  const most = Math.trunc(column(decode, 'max_kv_tokens', path).values[0] ?? 0);
  const contexts = [...column(decode, 'y_context_length', path).values];
  const points = [...column(decode, 'x_kv_usage', path).values].map((usage, index) => {
    const tokens = Math.round(usage * most);
    const context = contexts[index] ?? 0;
    return [context > 0 ? Math.max(1, Math.round(tokens / context)) : 1, tokens] as const;
  });
  // The number of requests matters little beside their tokens: a fit may not blame it for going down.
  const plane = fitted('decode', points, [...column(decode, 'z_itl', path).values], [0]);
  const active = spaced(0, Math.max(...points.map(([, tokens]) => tokens)));
  const context = spaced(1, Math.max(...points.map(([requests, tokens]) => tokens / requests)));
  return {
    prefill_isl: isl,
    prefill_ttft_ms: isl.map((tokens) => Math.max(leastMs, line([tokens]))),
    decode_active_kv_tokens: active,
    decode_context_length: context,
    decode_itl: active.map((tokens) => context.map((length) => Math.max(leastMs, plane([Math.max(1, tokens / length), tokens])))),
  };
}

const spaced = (from: number, to: number): number[] =>
  Array.from({ length: resolution }, (_, index) => from + ((to - from) * index) / (resolution - 1));

/** Least squares over one or two features with a constant; a fit that falls with more load is refused, save for `lenient` features. */
function fitted(
  step: string,
  points: readonly (readonly number[])[],
  values: readonly number[],
  lenient: readonly number[],
): (point: readonly number[]) => number {
  const mean = (numbers: readonly number[]): number => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
  const features = Array.from({ length: points[0]?.length ?? 0 }, (_, feature) => points.map((point) => point[feature] ?? 0));
  const centers = features.map(mean);
  const center = mean(values);
  const product = (xs: readonly number[], atX: number, ys: readonly number[], atY: number): number =>
    xs.reduce((sum, x, index) => sum + (x - atX) * ((ys[index] ?? 0) - atY), 0);
  const square = (i: number, j: number): number => product(features[i] ?? [], centers[i] ?? 0, features[j] ?? [], centers[j] ?? 0);
  const right = features.map((feature, index) => product(feature, centers[index] ?? 0, values, center));
  const slopes = features.length === 1 ? [over(right[0] ?? 0, square(0, 0))] : solved(square(0, 0), square(0, 1), square(1, 1), right);
  const clamped = slopes.map((slope, index) => (slope < -1e-3 && lenient.includes(index) ? 0 : slope));
  if (clamped.some((slope, index) => slope < 0 && !lenient.includes(index)))
    throw new DynamoError('invalid_argument', `Failed to fit ${step} regression from profiling data`);
  const base = center - slopes.reduce((sum, slope, index) => sum + slope * (centers[index] ?? 0), 0);
  return (point) => base + clamped.reduce((sum, slope, index) => sum + slope * (point[index] ?? 0), 0);
}

const over = (a: number, b: number): number => (b === 0 ? 0 : a / b);

function solved(xx: number, xy: number, yy: number, [x = 0, y = 0]: readonly number[]): number[] {
  const determinant = xx * yy - xy * xy;
  if (Math.abs(determinant) > 1e-9 * xx * yy) return [(x * yy - y * xy) / determinant, (y * xx - x * xy) / determinant];
  // One feature is a multiple of the other: the smallest slopes that fit.
  const size = xx + yy;
  const along = over(x * Math.sqrt(xx) + y * Math.sqrt(yy), size * size);
  return [along * Math.sqrt(xx), along * Math.sqrt(yy)];
}
