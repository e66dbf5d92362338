import { DynamoError } from '@dynamo/runtime';
import { Float } from '@dynamo/runtime/internal';
import type { InferRequest, InferResponse, OutputTensor, Parameter, Parameters } from './messages.ts';
import { elements } from './tensor-request.ts';
import { fits, type TensorType, typeOfWorker } from '../model/tensor-types.ts';

/** An answer of a worker that can't be one of a tensor model. */
export class BadAnswer extends Error {
  override readonly name = 'BadAnswer';
}

interface ReadTensor {
  readonly type: TensorType;
  readonly name: string;
  readonly shape: readonly (number | bigint)[];
  readonly values: readonly unknown[];
  readonly parameters: Parameters | undefined;
}

/**
 * A worker's item as the answer to a request: its tensors are raw if those of the request were (spec llm 7).
 *
 * @throws BadAnswer where the item is not what it should be.
 */
export function fromWorkerItem(item: unknown, request: InferRequest): InferResponse {
  if (!isRecord(item) || !Array.isArray(item['tensors'])) throw new BadAnswer('Invalid NvCreateTensorResponse: tensors: there are none');
  const tensors = item['tensors'].map(readTensor);
  const parameters = readParameters(item['parameters'], 'parameters');
  const isRaw = request.raw.length > 0 || tensors.some(({ type }) => type.half === true);
  const outputs = tensors.map(({ type, name, shape, values, parameters: own }): OutputTensor => ({
    name,
    datatype: type.datatype,
    shape,
    ...(own === undefined ? {} : { parameters: own }),
    ...(isRaw ? {} : { contents: { of: type.contents, values } }),
  }));
  return {
    model: request.model,
    id: request.id,
    outputs,
    ...(parameters === undefined ? {} : { parameters }),
    ...(isRaw ? { raw: tensors.map(({ type, values }) => rawBytes(type, values)) } : {}),
  };
}

function readTensor(raw: unknown, index: number): ReadTensor {
  const bad = (what: string): BadAnswer => new BadAnswer(`Invalid NvCreateTensorResponse: tensors[${index}]${what}`);
  const { metadata, data } = isRecord(raw) ? raw : {};
  if (!isRecord(metadata) || !isRecord(data)) throw bad(': metadata or data are missing');
  const { name, data_type: declared, shape } = metadata;
  const type = typeOfWorker(data['data_type']);
  if (type === undefined || typeof name !== 'string' || !Array.isArray(shape) || !Array.isArray(data['values'])) throw bad(': not a tensor');
  if (declared !== type.wire) throw bad(`.data_type: declared ${String(declared)} but data has ${type.wire}`);
  const sizes = shape.map((size: unknown) => {
    if (typeof size !== 'bigint' && !Number.isInteger(size)) throw bad('.shape: not a whole number');
    if ((size as number | bigint) < 0) throw bad('.shape: only -1 is allowed as a wildcard dimension');
    return size as number | bigint;
  });
  const count = elements(sizes);
  const values = data['values'].map((value: unknown) => (value instanceof Float ? value.value : value));
  if (count !== BigInt(values.length)) throw bad(`.shape: shape implies ${count} elements but data has ${values.length}`);
  const read = type.contents === 'bytes' ? values.map((value) => readBytes(value, bad)) : values;
  if (type.contents !== 'bytes') {
    const misfit = values.findIndex((value) => !fits(type, value));
    if (misfit >= 0) throw bad(`.data: value ${misfit} is no ${type.wire}`);
  }
  return { type, name, shape: sizes, values: read, parameters: readParameters(metadata['parameters'], `tensors[${index}].parameters`) };
}

function readBytes(value: unknown, bad: (what: string) => BadAnswer): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === 'string') return Buffer.from(value);
  if (!Array.isArray(value) || !value.every((byte) => Number.isInteger(byte) && byte >= 0 && byte <= 255)) throw bad('.data: not bytes');
  return Uint8Array.from(value as number[]);
}

function readParameters(raw: unknown, where: string): Parameters | undefined {
  if (raw === undefined || raw === null) return undefined;
  if (!isRecord(raw)) throw new BadAnswer(`Invalid NvCreateTensorResponse: ${where}`);
  return new Map(Object.entries(raw).map(([name, value]) => [name, readParameter(value, `${where}.${name}`)]));
}

function readParameter(raw: unknown, where: string): Parameter {
  const [[kind, given] = []] = isRecord(raw) ? Object.entries(raw) : [];
  const value = given instanceof Float ? given.value : given;
  const whole = typeof value === 'bigint' || Number.isInteger(value) ? BigInt(value as number | bigint) : undefined;
  if (kind === 'bool' && typeof value === 'boolean') return { bool: value };
  if (kind === 'string' && typeof value === 'string') return { string: value };
  if (kind === 'double' && (typeof value === 'number' || typeof value === 'bigint')) return { double: Number(value) };
  if (kind === 'int64' && whole !== undefined && BigInt.asIntN(64, whole) === whole) return { int64: whole };
  if (kind === 'uint64' && whole !== undefined && BigInt.asUintN(64, whole) === whole) return { uint64: whole };
  throw new BadAnswer(`Invalid NvCreateTensorResponse: ${where}`);
}

function rawBytes(type: TensorType, values: readonly unknown[]): Uint8Array {
  if (type.size === 0) {
    const prefixed = (values as Uint8Array[]).flatMap((value) => {
      const length = Buffer.allocUnsafe(4);
      length.writeUInt32LE(value.length);
      return [length, value];
    });
    return Buffer.concat(prefixed);
  }
  const bytes = new Uint8Array(values.length * type.size);
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) => type.write(view, index * type.size, value as never));
  return bytes;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array) && !DynamoError.is(value);
