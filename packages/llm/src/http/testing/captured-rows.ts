import { readFileSync } from 'node:fs';
import { decodeJson } from '@dynamo/runtime/internal';
import type { ScriptStep, ScriptedWorker } from '../../testing/scripted-worker.ts';

/**
 * A request sent to the frontend of 1.6.1: a name, the model, what its worker answers, path, body, status, the answer, and
 * what the worker got: of tokenized requests the prompt and every member that is set.
 */
export type Row = [string, string, ScriptStep[], string, string, number, string, Record<string, unknown>[]];

/** The rows of a file beside this one. */
export const readRows = (file: string): readonly Row[] =>
  readFileSync(new URL(file, import.meta.url), 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => decodeJson(Buffer.from(line)) as Row);

/** What was told and got, in a form that two of them can be compared in. */
export interface Told {
  readonly status: number;
  readonly answer: unknown;
  readonly received: readonly unknown[];
}

/** Sends the request of a row: what comes, and what was captured. */
export async function askRow(address: string, worker: ScriptedWorker, row: Row): Promise<{ ours: Told; theirs: Told }> {
  const [name, , script, path, body, status, text, received] = row;
  worker.script = script;
  worker.received.length = 0;
  const type = name === 'noct' ? 'text/plain' : 'application/json';
  const response = await fetch(address + path, { method: 'POST', headers: { 'content-type': type }, body: Buffer.from(body) });
  const answer = comparable(await response.text());
  return {
    ours: { status: response.status, answer, received: worker.received.map(({ request }) => seen(request as Record<string, unknown>)) },
    theirs: { status, answer: comparable(text), received: received.map(plain) },
  };
}

/** An answer without what differs from run to run: its events, its JSON, or its text. */
function comparable(text: string): unknown {
  const normal = text
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uuid>')
    .replace(/"(\w+)_[0-9a-f]{32}"/g, '"$1_<hex32>"')
    .replace(/"(created_at|completed_at)":\d+/g, '"$1":0')
    .replace(/"(\w+_ms)":[\d.e+-]+/g, '"$1":0')
    .replace(/"(\w*worker_id)":\d+/g, '"$1":1');
  if (normal.startsWith('event:')) return normal.split('\n\n');
  try {
    return JSON.parse(normal);
  } catch {
    return normal;
  }
}

/** A request on its way to a worker; one that was not tokenized has no ids. */
interface WireRequest {
  readonly token_ids?: readonly number[];
  readonly sampling_options: object;
  readonly stop_conditions: { readonly stop_token_ids_hidden?: unknown };
  readonly output_options: object;
  readonly annotations: unknown;
}

const plain = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_key, member: unknown) => (typeof member === 'bigint' ? Number(member) : member)));
const set = (value: object): object => Object.fromEntries(Object.entries(value).filter(([, member]) => member !== null));

/** Members that every request has, or that are told in another form. */
const constant = [
  'token_ids',
  'sampling_options',
  'stop_conditions',
  'output_options',
  'model',
  'eos_token_ids',
  'mdc_sum',
  'annotations',
  'router_config_override',
];

function seen(request: Record<string, unknown>): unknown {
  const wire = plain(request) as WireRequest;
  if (wire.token_ids === undefined) return wire;
  const { stop_token_ids_hidden: _, ...stop } = wire.stop_conditions;
  return {
    prompt: Buffer.from(wire.token_ids.filter((id) => id < 256)).toString(),
    sampling: set(wire.sampling_options),
    stop: set(stop),
    output: set(wire.output_options),
    extra: Object.fromEntries(Object.entries(wire).filter(([name]) => !constant.includes(name))),
    annotations: wire.annotations,
  };
}
