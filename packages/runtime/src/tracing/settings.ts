import { isTruthy, wantsJson } from '../log/line-logger.ts';

/** Where spans go, and how. */
export interface ExportSettings {
  readonly protocol: 'grpc' | 'http/protobuf';
  /** The whole address: for HTTP with its path. */
  readonly endpoint: string;
  readonly headers: Readonly<Record<string, string>>;
  /** `service.name` of all spans. */
  readonly service: string;
  /** Spans that wait at most; further ones are dropped and counted. */
  readonly maxQueue: number;
  /** Spans that leave together at most. */
  readonly maxBatch: number;
  /** How long a span waits at most for others to leave with, in milliseconds. */
  readonly delayMs: number;
  /** How long one delivery may take, in milliseconds. */
  readonly timeoutMs: number;
}

/** How a runtime traces. */
export interface TracingSettings {
  readonly sampleRatio: number;
  /** Absent where spans are only there for log lines and for the next hop. */
  readonly export?: ExportSettings;
  /** What was wrong with a variable, to be logged once. */
  readonly warnings: readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;

const defaultEndpoints = { grpc: 'http://localhost:4317', 'http/protobuf': 'http://localhost:4318' } as const;

/**
 * How the environment asks for tracing, as the real system reads it: `OTEL_EXPORT_ENABLED` sends spans out, and JSON log lines
 * alone turn on ids and headers (spec runtime-wire 2, 11). Undefined without either: nothing is traced.
 */
export function tracingOf(env: Environment): TracingSettings | undefined {
  const exporting = isTruthy(env['OTEL_EXPORT_ENABLED']);
  if (!exporting && !wantsJson(env)) return undefined;
  const warnings: string[] = [];
  const sampleRatio = ratioOf(env, warnings);
  return exporting ? { sampleRatio, export: exportOf(env, warnings), warnings } : { sampleRatio, warnings };
}

function exportOf(env: Environment, warnings: string[]): ExportSettings {
  const asked = env['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL'] || env['OTEL_EXPORTER_OTLP_PROTOCOL'] || 'grpc';
  const protocol = asked === 'http/protobuf' ? asked : 'grpc';
  if (asked !== protocol) warnings.push(`unsupported OTEL_EXPORTER_OTLP_PROTOCOL '${asked}'; falling back to grpc`);
  const base = env['OTEL_EXPORTER_OTLP_ENDPOINT'] || defaultEndpoints[protocol];
  return {
    protocol,
    endpoint: env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] || (protocol === 'grpc' ? base : `${base.replace(/\/+$/, '')}/v1/traces`),
    headers: headersOf(env['OTEL_EXPORTER_OTLP_TRACES_HEADERS'] || env['OTEL_EXPORTER_OTLP_HEADERS'] || '', warnings),
    service: env['OTEL_SERVICE_NAME'] || 'dynamo',
    maxQueue: count(env, 'OTEL_BSP_MAX_QUEUE_SIZE', 2_048),
    maxBatch: count(env, 'OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 512),
    delayMs: count(env, 'OTEL_BSP_SCHEDULE_DELAY', 5_000),
    timeoutMs: count(env, 'OTEL_EXPORTER_OTLP_TRACES_TIMEOUT', count(env, 'OTEL_EXPORTER_OTLP_TIMEOUT', 10_000)),
  };
}

function ratioOf(env: Environment, warnings: string[]): number {
  const own = env['OTEL_TRACES_SAMPLE_RATIO'];
  if (own) {
    const ratio = Number(own);
    if (ratio >= 0 && ratio <= 1) return ratio;
    warnings.push(`invalid OTEL_TRACES_SAMPLE_RATIO '${own}'; expected a number between 0.0 and 1.0, keeping default sampler`);
  }
  const sampler = env['OTEL_TRACES_SAMPLER'] ?? '';
  if (sampler.endsWith('always_off')) return 0;
  if (!sampler.endsWith('traceidratio')) return 1;
  const ratio = Number(env['OTEL_TRACES_SAMPLER_ARG'] || 1);
  return ratio >= 0 && ratio <= 1 ? ratio : 1;
}

/** `name=value,name=value`, values percent-encoded; header names are not told apart by case. */
function headersOf(text: string, warnings: string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const part of text.split(',')) {
    const at = part.indexOf('=');
    const name = part.slice(0, Math.max(at, 0)).trim().toLowerCase();
    if (/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name)) headers[name] = decoded(part.slice(at + 1).trim());
    else if (part.trim() !== '') warnings.push('skipping unusable OTLP header');
  }
  return headers;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function count(env: Environment, name: string, fallback: number): number {
  const value = Number(env[name] || fallback);
  return Number.isInteger(value) && value > 0 ? value : fallback;
}
