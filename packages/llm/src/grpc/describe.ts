import type { WireCard } from '../model/wire-card.ts';
import { type ModelDescription, type TensorShape, writeShape } from './messages.ts';
import { MalformedMessage, numberKinds, ProtobufReader, ProtobufWriter } from './protobuf.ts';
import { GrpcFailure, status } from './status.ts';
import { configOfDatatype, datatypeOfConfig, typeOfWorker } from '../model/tensor-types.ts';

/** A model's description, and its configuration as the protocol's `ModelConfig`. */
export interface Described {
  readonly description: ModelDescription;
  readonly config: Uint8Array;
}

const platform = 'dynamo';

/** A text model (spec llm 7). */
export function describeText(name: string): Described {
  const description: ModelDescription = {
    name,
    platform,
    inputs: [
      { name: 'text_input', datatype: 'BYTES', shape: [1] },
      { name: 'streaming', datatype: 'BOOL', shape: [1], optional: true },
    ],
    outputs: [
      { name: 'text_output', datatype: 'BYTES', shape: [-1] },
      { name: 'finish_reason', datatype: 'BYTES', shape: [-1] },
    ],
  };
  return { description, config: encodeConfig(description) };
}

/**
 * A tensor model, as its card describes it: by the tensors that it lists, or by a whole configuration of its own.
 *
 * @throws GrpcFailure INVALID_ARGUMENT where the card tells nothing, or something that can't be read.
 */
export function describeTensors(card: WireCard): Described {
  const bad = (why: string): GrpcFailure => new GrpcFailure(status.invalidArgument, `Model '${card.display_name}' has type Tensor but: ${why}`);
  const { tensor_model_config: told } = card;
  if (typeof told !== 'object' || told === null) throw bad('no model config is provided');
  const { name, inputs, outputs, triton_model_config: own } = told as Record<string, unknown>;
  if (Array.isArray(own) || own instanceof Uint8Array) {
    try {
      const config = Uint8Array.from(own as number[]);
      return { description: readConfig(config), config };
    } catch (error) {
      if (error instanceof MalformedMessage) throw bad(`failed to decode Protobuf message: ${error.message}`);
      throw error;
    }
  }
  const description: ModelDescription = {
    name: typeof name === 'string' ? name : card.display_name,
    platform,
    inputs: readTensors(inputs, bad),
    outputs: readTensors(outputs, bad),
  };
  return { description, config: encodeConfig(description) };
}

function readTensors(listed: unknown, bad: (why: string) => GrpcFailure): TensorShape[] {
  if (!Array.isArray(listed)) throw bad('its config lists no tensors');
  return listed.map((tensor: unknown) => {
    const { name, data_type: wire, shape } = (tensor ?? {}) as Record<string, unknown>;
    const type = typeOfWorker(wire);
    if (type === undefined || typeof name !== 'string' || !Array.isArray(shape) || !shape.every((size) => Number.isInteger(size)))
      throw bad('its config has a tensor that is none');
    return { name, datatype: type.datatype, shape: shape as number[] };
  });
}

/** `ModelConfig`, as far as a model without a configuration of its own has one. */
function encodeConfig({ name, inputs, outputs }: ModelDescription): Uint8Array {
  const writer = new ProtobufWriter();
  writer.text(1, name);
  writer.text(2, platform);
  for (const tensor of inputs)
    writer.nested(5, () => {
      writer.text(1, tensor.name);
      writer.integer(2, configOfDatatype(tensor.datatype));
      writeShape(writer, 4, tensor.shape);
      writer.bool(8, tensor.optional === true);
    });
  for (const tensor of outputs)
    writer.nested(6, () => {
      writer.text(1, tensor.name);
      writer.integer(2, configOfDatatype(tensor.datatype));
      writeShape(writer, 3, tensor.shape);
    });
  writer.text(17, platform);
  return writer.finish();
}

/** What a `ModelConfig` says that metadata tell; where the model takes batches, shapes begin with one of any size. */
function readConfig(bytes: Uint8Array): ModelDescription {
  const reader = new ProtobufReader(bytes);
  const read = { name: '', platform: '', batch: 0n, inputs: [] as TensorShape[], outputs: [] as TensorShape[] };
  while (reader.next()) {
    if (reader.field === 1) read.name = reader.text();
    else if (reader.field === 2) read.platform = reader.text();
    else if (reader.field === 4) read.batch = reader.int64();
    else if (reader.field === 5) read.inputs.push(readConfigTensor(reader.bytes(), 4));
    else if (reader.field === 6) read.outputs.push(readConfigTensor(reader.bytes(), 3));
    else reader.skip();
  }
  const batched = (tensor: TensorShape): TensorShape => (read.batch > 0n ? { ...tensor, shape: [-1, ...tensor.shape] } : tensor);
  return { name: read.name, platform: read.platform, inputs: read.inputs.map(batched), outputs: read.outputs.map(batched) };
}

function readConfigTensor(bytes: Uint8Array, dimensions: number): TensorShape {
  const reader = new ProtobufReader(bytes);
  const tensor = { name: '', datatype: datatypeOfConfig(0), shape: [] as bigint[] };
  while (reader.next()) {
    if (reader.field === 1) tensor.name = reader.text();
    else if (reader.field === 2) tensor.datatype = datatypeOfConfig(Number(reader.int64()));
    else if (reader.field === dimensions) reader.numbers(tensor.shape, numberKinds.int64);
    else reader.skip();
  }
  return tensor;
}
