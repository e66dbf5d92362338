import { type Contents, writeShape } from '../messages.ts';
import { numberKinds, ProtobufReader, ProtobufWriter } from '../protobuf.ts';

/** A tensor as a client sends it. */
export interface AskedTensor {
  name: string;
  datatype: string;
  shape: readonly number[];
  contents?: Partial<Contents>;
}

/** What a client asks. */
export interface Asked {
  model: string;
  id?: string;
  strings?: Readonly<Record<string, string>>;
  inputs: readonly AskedTensor[];
  raw?: readonly Uint8Array[];
}

/** A `ModelInferRequest` of a client. */
export function encodeAsked({ model, id = '', strings = {}, inputs, raw = [] }: Asked): Buffer {
  const writer = new ProtobufWriter();
  writer.text(1, model);
  writer.text(3, id);
  for (const [name, value] of Object.entries(strings))
    writer.nested(4, () => {
      writer.text(1, name);
      writer.nested(2, () => writer.bytes(3, Buffer.from(value)));
    });
  for (const tensor of inputs)
    writer.nested(5, () => {
      writer.text(1, tensor.name);
      writer.text(2, tensor.datatype);
      writeShape(writer, 3, tensor.shape);
      const { contents } = tensor;
      if (contents !== undefined) writer.nested(5, () => writeContents(writer, contents));
    });
  for (const bytes of raw) writer.bytes(7, bytes);
  return writer.finish();
}

function writeContents(writer: ProtobufWriter, contents: Partial<Contents>): void {
  const packed = (field: number, values: readonly (number | bigint | boolean)[] | undefined, write: (value: never) => void): void => {
    if (values !== undefined) writer.nested(field, () => values.forEach((value) => write(value as never)));
  };
  const varint = (value: number | bigint | boolean): void => writer.varint(typeof value === 'boolean' ? Number(value) : value);
  packed(1, contents.bool, varint);
  packed(2, contents.int, varint);
  packed(3, contents.int64, varint);
  packed(4, contents.uint, varint);
  packed(5, contents.uint64, varint);
  packed(6, contents.fp32, (value) => writer.float(value));
  packed(7, contents.fp64, (value) => writer.double(value));
  for (const value of contents.bytes ?? []) writer.bytes(8, value);
}

/** An answered tensor, with the numbers of its shape. */
export interface AnsweredTensor {
  name: string;
  datatype: string;
  shape: bigint[];
  texts: string[];
  ints: number[];
}

/** A `ModelInferResponse`, as far as the tests look at it. */
export interface Answered {
  id: string;
  outputs: AnsweredTensor[];
  raw: Buffer[];
}

export function decodeAnswer(bytes: Uint8Array): Answered {
  const reader = new ProtobufReader(bytes);
  const answer: Answered = { id: '', outputs: [], raw: [] };
  while (reader.next()) {
    if (reader.field === 3) answer.id = reader.text();
    else if (reader.field === 5) answer.outputs.push(decodeTensor(reader.bytes()));
    else if (reader.field === 6) answer.raw.push(reader.bytes());
    else reader.skip();
  }
  return answer;
}

/** A `ModelStreamInferResponse`: an answer, or what went wrong. */
export function decodeStreamAnswer(bytes: Uint8Array): Answered | { error: string } {
  const reader = new ProtobufReader(bytes);
  let answer: Answered | { error: string } = { error: '' };
  while (reader.next()) {
    if (reader.field === 1) answer = { error: reader.text() };
    else if (reader.field === 2) answer = decodeAnswer(reader.bytes());
    else reader.skip();
  }
  return answer;
}

function decodeTensor(bytes: Uint8Array): AnsweredTensor {
  const reader = new ProtobufReader(bytes);
  const tensor: AnsweredTensor = { name: '', datatype: '', shape: [], texts: [], ints: [] };
  while (reader.next()) {
    if (reader.field === 1) tensor.name = reader.text();
    else if (reader.field === 2) tensor.datatype = reader.text();
    else if (reader.field === 3) reader.numbers(tensor.shape, numberKinds.int64);
    else if (reader.field === 5) decodeContents(new ProtobufReader(reader.bytes()), tensor);
    else reader.skip();
  }
  return tensor;
}

function decodeContents(reader: ProtobufReader, { texts, ints }: AnsweredTensor): void {
  while (reader.next()) {
    if (reader.field === 8) texts.push(reader.bytes().toString());
    else if (reader.field === 2) reader.numbers(ints, numberKinds.int32);
    else reader.skip();
  }
}
