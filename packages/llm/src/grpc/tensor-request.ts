import { float } from '@dynamo/runtime/internal';
import type { InferRequest, InputTensor, Parameters } from './messages.ts';
import { badRequest } from './status.ts';
import { fits, type TensorType, typeOfRequest } from '../model/tensor-types.ts';

/** What a worker of a tensor model is asked (spec llm 7). */
interface WireTensors {
  readonly id: string | null;
  readonly model: string;
  readonly tensors: readonly object[];
  readonly parameters?: object;
}

/**
 * The request of a client as a worker gets it.
 *
 * @throws GrpcFailure INVALID_ARGUMENT where tensors are not what they say.
 */
export function toWorker(request: InferRequest): WireTensors {
  const { inputs, raw } = request;
  if (raw.length > 0 && raw.length !== inputs.length) throw badRequest('`raw_input_contents` must be used for all inputs');
  const parameters = wireParameters(request.parameters);
  const tensors = inputs.map((tensor, index) => {
    const type = typeOfRequest(tensor.datatype);
    if (type === undefined) throw badRequest('Invalid data type');
    const bytes = raw[index];
    // Whoever sends values twice means the typed ones, as in the real frontend.
    const values = bytes === undefined || tensor.contents !== undefined ? typedValues(tensor, { type, index }) : rawValues(tensor, { type, bytes });
    const named = wireParameters(tensor.parameters);
    return {
      metadata: { name: tensor.name, data_type: type.wire, shape: tensor.shape.map(plain), ...(named === undefined ? {} : { parameters: named }) },
      data: { data_type: type.wire, values },
    };
  });
  return { id: request.id === '' ? null : request.id, model: request.model, tensors, ...(parameters === undefined ? {} : { parameters }) };
}

function wireParameters(parameters: Parameters): Record<string, object> | undefined {
  if (parameters.size === 0) return undefined;
  const wire = Object.create(null) as Record<string, object>;
  for (const [name, value] of parameters) {
    if (value === undefined) throw badRequest(`Parameter '${name}' has no value`);
    wire[name] = 'double' in value ? { double: float(value.double) } : value;
  }
  return wire;
}

function typedValues(tensor: InputTensor, { type, index }: { type: TensorType; index: number }): readonly unknown[] {
  if (type.half === true)
    throw badRequest(
      `FP16/BF16 tensors must be sent via \`raw_input_contents\`; \`InferTensorContents\` has no typed field for half-precision (input '${tensor.name}')`,
    );
  if (tensor.shape.some((size) => size < 0n)) throw badRequest(`tensors[${index}].shape: only -1 is allowed as a wildcard dimension`);
  const values: readonly unknown[] = tensor.contents?.[type.contents] ?? [];
  const count = elements(tensor.shape);
  if (count !== BigInt(values.length)) throw badRequest(`tensors[${index}].shape: shape implies ${count} elements but data has ${values.length}`);
  const misfit = type.range === undefined ? -1 : values.findIndex((value) => !fits(type, value));
  if (misfit >= 0) throw badRequest(`tensors[${index}]: value ${misfit} is no ${type.datatype}`);
  return wireValues(type, values);
}

function rawValues(tensor: InputTensor, { type, bytes }: { type: TensorType; bytes: Uint8Array }): readonly unknown[] {
  const negative = tensor.shape.find((size) => size < 0n);
  if (negative !== undefined) throw badRequest(`Shape contains negative dimension: ${negative}`);
  const values = type.size === 0 ? splitBytes(tensor.name, bytes) : fixedValues(type, bytes);
  const count = elements(tensor.shape);
  if (count !== BigInt(values.length))
    throw badRequest(
      `Raw input element count for '${tensor.name}' does not match expected size, expected ${count} elements, got ${values.length} elements`,
    );
  return wireValues(type, values);
}

function fixedValues({ size, read }: TensorType, bytes: Uint8Array): readonly unknown[] {
  if (bytes.length % size !== 0) throw badRequest(`Raw input length must be a multiple of ${size}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / size }, (_, index) => read(view, index * size));
}

function splitBytes(name: string, bytes: Uint8Array): readonly Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values: Uint8Array[] = [];
  let at = 0;
  while (at + 4 <= bytes.length) {
    const end = at + 4 + view.getUint32(at, true);
    if (end > bytes.length) throw badRequest(`Invalid length-prefixed BYTES input for '${name}', length exceeds raw input size`);
    values.push(bytes.subarray(at + 4, end));
    at = end;
  }
  if (at !== bytes.length) throw badRequest(`Invalid length-prefixed BYTES input for '${name}', extra bytes at the end`);
  return values;
}

/** Floats stay floats on the wire where their value is a whole number; bytes are lists of numbers there. */
function wireValues(type: TensorType, values: readonly unknown[]): readonly unknown[] {
  if (type.contents === 'bytes') return values.map((value) => Array.from(value as Uint8Array));
  if (type.contents === 'fp32' || type.contents === 'fp64') return values.map((value) => float(value as number));
  return values;
}

const plain = (size: bigint): number | bigint => (size <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(size) : size);

const mostElements = 2n ** 64n - 1n;

/** How many values a shape has room for; the largest 64-bit count where there are more. */
export function elements(shape: readonly (number | bigint)[]): bigint {
  let count = 1n;
  for (const size of shape) count *= BigInt(size);
  return count > mostElements ? mostElements : count;
}
