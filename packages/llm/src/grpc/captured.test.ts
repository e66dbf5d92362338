import { readFileSync } from 'node:fs';
import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js';
import { DistributedRuntime } from '@dynamo/runtime';
import { decodeJson } from '@dynamo/runtime/internal';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Frontend } from '../frontend/frontend.ts';
import { Llm } from '../llm.ts';
import { type ScriptStep, scriptedWorker, type ScriptedWorker } from '../testing/scripted-worker.ts';
import { callOnce, callStream } from './testing/calls.ts';
import { encodedStreamResponses } from './testing/captured-messages.ts';

interface Case {
  name: string;
  rpc: string;
  request: { model_name?: string; name?: string };
  request_hex: string;
  response_hex?: string;
  responses?: object[];
  error?: { code: keyof typeof status; details: string };
  worker_script?: ScriptStep[];
  worker_received?: object[];
}

const cases = (decodeJson(readFileSync(new URL('../../../../vectors/llm/kserve/kserve.json', import.meta.url))) as Case[]).filter(
  ({ rpc }) => rpc !== undefined,
);

let runtime: DistributedRuntime;
let frontend: Frontend;
let client: Client;
const workers = new Map<string, ScriptedWorker>();

const tensorConfig = {
  name: 'tensor',
  inputs: [{ name: 'x', data_type: 'Int32', shape: [-1] }],
  outputs: [{ name: 'y', data_type: 'Int32', shape: [-1] }],
};
const fleet: Readonly<Record<string, Parameters<typeof scriptedWorker>[2]>> = {
  chatonly: { surfaces: ['chat'] },
  componly: { surfaces: ['completions'] },
  tensor: { input: 'tensor', raw: { tensor_model_config: tensorConfig } },
};

beforeAll(async () => {
  process.env['DYN_RUNTIME_INHIBITED_DURATION_SECS'] = '0';
  runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  for (const [name, card] of Object.entries(fleet)) workers.set(name, await scriptedWorker(runtime, name, card));
  frontend = await new Llm(runtime).frontend({ http: { host: '127.0.0.1', port: 0 }, grpc: { host: '127.0.0.1', port: 0 } });
  client = new Client(frontend.grpcAddress, credentials.createInsecure());
  await vi.waitFor(() => expect(frontend.models.toSorted()).toEqual(Object.keys(fleet).toSorted()), 10_000);
});

afterAll(async () => {
  delete process.env['DYN_RUNTIME_INHIBITED_DURATION_SECS'];
  client.close();
  await frontend[Symbol.asyncDispose]();
  await runtime[Symbol.asyncDispose]();
});

/** What 1.6.1 answers by dying, and we by saying why (docs/decisions). */
const better: Readonly<Record<string, Case['error']>> = {
  tensor_fp16: {
    code: 'INVALID_ARGUMENT',
    details:
      'Failed to parse request: status: InvalidArgument, message: "FP16/BF16 tensors must be sent via `raw_input_contents`; `InferTensorContents` has no typed field for half-precision (input \'x\')", details: [], metadata: MetadataMap { headers: {} }',
  },
};

const failure = ({ code, details }: ServiceError): object => ({ code: status[code], details });

describe('captured KServe calls', () => {
  test.for(cases)('$name', async (row) => {
    const worker = workers.get(row.request.model_name ?? '');
    if (worker !== undefined) {
      worker.script = row.worker_script ?? [];
      worker.received.length = 0;
    }
    const request = Buffer.from(row.request_hex, 'hex');
    const expected = better[row.name] ?? row.error;
    if (row.rpc === 'ModelStreamInfer') {
      const { messages, error } = await callStream(client, [request]);
      expect(messages.map((message) => message.toString('hex'))).toEqual(encodedStreamResponses(row.responses ?? []));
      expect(error === undefined ? undefined : failure(error)).toEqual(expected);
    } else {
      const { message, error } = await callOnce(client, row.rpc, request);
      expect(error === undefined ? undefined : failure(error)).toEqual(expected);
      expect(message?.toString('hex')).toBe(row.response_hex);
    }
    const received = worker?.received.map(({ request: got }) => ({
      ...(got as object),
      ...('mdc_sum' in (got as object) ? { mdc_sum: '<mdcsum>' } : {}),
    }));
    if (row.worker_received !== undefined) expect(received).toEqual(row.worker_received);
  });

  test('every method is among the captures', () => {
    expect(new Set(cases.map(({ rpc }) => rpc)).size).toBe(8);
  });
});
