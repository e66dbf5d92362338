import type { ContentsName } from '../model/tensor-types.ts';
import { numberKinds, ProtobufReader, ProtobufWriter } from './protobuf.ts';

/** A parameter of a request or tensor; undefined where a client sent one without a value. */
export type Parameter =
  | { readonly bool: boolean }
  | { readonly int64: bigint }
  | { readonly string: string }
  | { readonly double: number }
  | { readonly uint64: bigint };

export type Parameters = ReadonlyMap<string, Parameter | undefined>;

/** The typed lists of a tensor, of which one is used: by the numbers of their fields in `InferTensorContents`. */
export interface Contents {
  readonly bool: boolean[];
  readonly int: number[];
  readonly int64: bigint[];
  readonly uint: number[];
  readonly uint64: bigint[];
  readonly fp32: number[];
  readonly fp64: number[];
  readonly bytes: Uint8Array[];
}

/** A tensor of a request. */
export interface InputTensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly bigint[];
  readonly parameters: Parameters;
  readonly contents: Contents | undefined;
}

/** `ModelInferRequest` of the KServe v2 protocol. */
export interface InferRequest {
  readonly model: string;
  readonly id: string;
  readonly parameters: Parameters;
  readonly inputs: readonly InputTensor[];
  readonly raw: readonly Uint8Array[];
}

/** A tensor of a response; without contents where those are raw. */
export interface OutputTensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly (number | bigint)[];
  readonly parameters?: Parameters;
  readonly contents?: { readonly of: ContentsName; readonly values: readonly unknown[] };
}

/** `ModelInferResponse` of the KServe v2 protocol; its version is always `1`. */
export interface InferResponse {
  readonly model: string;
  readonly id: string;
  readonly parameters?: Parameters;
  readonly outputs: readonly OutputTensor[];
  readonly raw?: readonly Uint8Array[];
}

/** A tensor as metadata and configurations describe it. */
export interface TensorShape {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly (number | bigint)[];
  readonly optional?: boolean;
}

/** What `ModelMetadata` and `ModelConfig` tell of a model. */
export interface ModelDescription {
  readonly name: string;
  readonly platform: string;
  readonly inputs: readonly TensorShape[];
  readonly outputs: readonly TensorShape[];
}

/** Name of the model that `ModelReady`, `ModelMetadata` or `ModelConfig` asks for. Versions are not looked at. */
export function decodeModelName(bytes: Uint8Array): string {
  const reader = new ProtobufReader(bytes);
  let name = '';
  while (reader.next()) {
    if (reader.field === 1) name = reader.text();
    else reader.skip();
  }
  return name;
}

export function decodeInferRequest(bytes: Uint8Array): InferRequest {
  const reader = new ProtobufReader(bytes);
  const request = { model: '', id: '', parameters: new Map<string, Parameter | undefined>(), inputs: [] as InputTensor[], raw: [] as Uint8Array[] };
  while (reader.next()) {
    if (reader.field === 1) request.model = reader.text();
    else if (reader.field === 3) request.id = reader.text();
    else if (reader.field === 4) decodeParameter(reader.bytes(), request.parameters);
    else if (reader.field === 5) request.inputs.push(decodeInput(reader.bytes()));
    else if (reader.field === 7) request.raw.push(reader.bytes());
    else reader.skip();
  }
  return request;
}

function decodeInput(bytes: Uint8Array): InputTensor {
  const reader = new ProtobufReader(bytes);
  const tensor = {
    name: '',
    datatype: '',
    shape: [] as bigint[],
    parameters: new Map<string, Parameter | undefined>(),
    contents: undefined as Contents | undefined,
  };
  while (reader.next()) {
    if (reader.field === 1) tensor.name = reader.text();
    else if (reader.field === 2) tensor.datatype = reader.text();
    else if (reader.field === 3) reader.numbers(tensor.shape, numberKinds.int64);
    else if (reader.field === 4) decodeParameter(reader.bytes(), tensor.parameters);
    else if (reader.field === 5) decodeContents(reader.bytes(), (tensor.contents ??= emptyContents()));
    else reader.skip();
  }
  return tensor;
}

const emptyContents = (): Contents => ({ bool: [], int: [], int64: [], uint: [], uint64: [], fp32: [], fp64: [], bytes: [] });

function decodeContents(bytes: Uint8Array, into: Contents): void {
  const reader = new ProtobufReader(bytes);
  while (reader.next()) {
    if (reader.field === 1) reader.numbers(into.bool, numberKinds.bool);
    else if (reader.field === 2) reader.numbers(into.int, numberKinds.int32);
    else if (reader.field === 3) reader.numbers(into.int64, numberKinds.int64);
    else if (reader.field === 4) reader.numbers(into.uint, numberKinds.uint32);
    else if (reader.field === 5) reader.numbers(into.uint64, numberKinds.uint64);
    else if (reader.field === 6) reader.numbers(into.fp32, numberKinds.float);
    else if (reader.field === 7) reader.numbers(into.fp64, numberKinds.double);
    else if (reader.field === 8) into.bytes.push(reader.bytes());
    else reader.skip();
  }
}

function decodeParameter(bytes: Uint8Array, into: Map<string, Parameter | undefined>): void {
  const reader = new ProtobufReader(bytes);
  let key = '';
  let value: Parameter | undefined;
  while (reader.next()) {
    if (reader.field === 1) key = reader.text();
    else if (reader.field === 2) value = decodeValue(reader.bytes()) ?? value;
    else reader.skip();
  }
  into.set(key, value);
}

function decodeValue(bytes: Uint8Array): Parameter | undefined {
  const reader = new ProtobufReader(bytes);
  let value: Parameter | undefined;
  while (reader.next()) {
    if (reader.field === 1) value = { bool: reader.bool() };
    else if (reader.field === 2) value = { int64: reader.int64() };
    else if (reader.field === 3) value = { string: reader.text() };
    else if (reader.field === 4) value = { double: reader.double() };
    else if (reader.field === 5) value = { uint64: reader.uint64() };
    else reader.skip();
  }
  return value;
}

/** `ServerLiveResponse`, `ServerReadyResponse` and `ModelReadyResponse`: one truth value. */
export function encodeTruth(value: boolean): Buffer {
  const writer = new ProtobufWriter();
  writer.bool(1, value);
  return writer.finish();
}

export function encodeMetadata({ name, platform, inputs, outputs }: ModelDescription): Buffer {
  const writer = new ProtobufWriter();
  writer.text(1, name);
  writer.text(2, '1');
  writer.text(3, platform);
  for (const [field, tensors] of [
    [4, inputs],
    [5, outputs],
  ] as const) {
    for (const tensor of tensors)
      writer.nested(field, () => {
        writer.text(1, tensor.name);
        writer.text(2, tensor.datatype);
        writeShape(writer, 3, tensor.shape);
      });
  }
  return writer.finish();
}

/** `ModelConfigResponse` around a `ModelConfig` that is encoded already. */
export function encodeConfigResponse(config: Uint8Array): Buffer {
  const writer = new ProtobufWriter();
  writer.bytes(1, config);
  return writer.finish();
}

/** `ModelInferResponse`. */
export function encodeInferResponse(response: InferResponse): Buffer {
  const writer = new ProtobufWriter();
  writeInferResponse(writer, response);
  return writer.finish();
}

/** `ModelStreamInferResponse` with a response or what went wrong. */
export function encodeStreamResponse(response: InferResponse | { readonly error: string }): Buffer {
  const writer = new ProtobufWriter();
  if ('error' in response) writer.text(1, response.error);
  else writer.nested(2, () => writeInferResponse(writer, response));
  return writer.finish();
}

function writeInferResponse(writer: ProtobufWriter, response: InferResponse): void {
  writer.text(1, response.model);
  writer.text(2, '1');
  writer.text(3, response.id);
  writeParameters(writer, response.parameters);
  for (const tensor of response.outputs)
    writer.nested(5, () => {
      writer.text(1, tensor.name);
      writer.text(2, tensor.datatype);
      writeShape(writer, 3, tensor.shape);
      writeParameters(writer, tensor.parameters);
      const { contents } = tensor;
      if (contents !== undefined) writer.nested(5, () => writeContents(writer, contents));
    });
  for (const raw of response.raw ?? []) writer.bytes(6, raw);
}

export function writeShape(writer: ProtobufWriter, field: number, shape: readonly (number | bigint)[]): void {
  if (shape.length === 0) return;
  writer.nested(field, () => {
    for (const size of shape) writer.varint(size);
  });
}

/** Names in order, so that equal answers are equal bytes. */
function writeParameters(writer: ProtobufWriter, parameters: Parameters | undefined): void {
  if (parameters === undefined) return;
  for (const [name, value] of [...parameters].toSorted(([a], [b]) => (a < b ? -1 : 1)))
    writer.nested(4, () => {
      writer.text(1, name);
      if (value !== undefined) writer.nested(2, () => writeValue(writer, value));
    });
}

function writeValue(writer: ProtobufWriter, value: Parameter): void {
  if ('bool' in value) writer.oneOf(1, value.bool);
  else if ('int64' in value) writer.oneOf(2, value.int64);
  else if ('string' in value) writer.bytes(3, Buffer.from(value.string));
  else if ('double' in value) writer.oneOfDouble(4, value.double);
  else writer.oneOf(5, value.uint64);
}

const contentsFields: Readonly<Record<ContentsName, number>> = { bool: 1, int: 2, int64: 3, uint: 4, uint64: 5, fp32: 6, fp64: 7, bytes: 8 };

function writeContents(writer: ProtobufWriter, { of, values }: NonNullable<OutputTensor['contents']>): void {
  const field = contentsFields[of];
  if (values.length === 0) return;
  if (of === 'bytes') return values.forEach((value) => writer.bytes(field, value as Uint8Array));
  writer.nested(field, () => {
    for (const value of values) {
      if (of === 'fp32') writer.float(Number(value));
      else if (of === 'fp64') writer.double(Number(value));
      else writer.varint(typeof value === 'boolean' ? Number(value) : (value as number | bigint));
    }
  });
}
