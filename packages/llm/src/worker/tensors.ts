import { DynamoError, type Handler, type HandlerContext } from '@dynamo/runtime';
import { batchesOf, type BatchedIterable, float, itemsOf } from '@dynamo/runtime/internal';
import { fits, type Tensors, type TensorType, typeOfRequest, typeOfWorker } from '../model/tensor-types.ts';

type Parameters = NonNullable<Tensors['parameters']>;

/** An engine of tensors as the wire sees it (spec llm 7). */
export const tensorHandler =
  (engine: Handler<Tensors, Tensors>): Handler<never, unknown> =>
  (request: unknown, context: HandlerContext): BatchedIterable<unknown> => {
    const asked = decodeTensors(request);
    const answers = engine(asked, context);
    return itemsOf(async function* () {
      for await (const batch of batchesOf(answers)) yield batch.map((answer) => encodeTensors(answer, asked.model ?? ''));
    });
  };

type Wire = Readonly<Record<string, unknown>>;

/**
 * Reads a request off the wire.
 *
 * @throws DynamoError `invalid_argument` for one that has no tensors, or one of an unknown type.
 */
function decodeTensors(wire: unknown): Tensors {
  const { id, model, tensors, parameters } = (wire ?? {}) as Wire;
  if (!Array.isArray(tensors)) throw new DynamoError('invalid_argument', 'the request has no tensors');
  return {
    ...(typeof id === 'string' ? { id } : {}),
    ...(typeof model === 'string' ? { model } : {}),
    tensors: tensors.map((tensor: { metadata?: Wire; data?: Wire } | null, index) => {
      const { name, shape, parameters: own } = tensor?.metadata ?? {};
      const { data_type: named, values } = tensor?.data ?? {};
      const type = typeOfWorker(named);
      if (type === undefined || !Array.isArray(values) || !Array.isArray(shape))
        throw new DynamoError('invalid_argument', `tensors[${index}] is no tensor`);
      return {
        name: String(name),
        datatype: type.datatype,
        shape: shape.map(Number),
        values: plainValues(type, values),
        ...(isSet(own) ? { parameters: decodeParameters(own) } : {}),
      };
    }),
    ...(isSet(parameters) ? { parameters: decodeParameters(parameters) } : {}),
  };
}

const isSet = (value: unknown): value is Wire => typeof value === 'object' && value !== null;

function plainValues({ contents }: TensorType, values: readonly unknown[]): Tensors['tensors'][number]['values'] {
  if (contents === 'bytes') return values.map((value) => (value instanceof Uint8Array ? value : Uint8Array.from(value as number[])));
  if (contents === 'int64' || contents === 'uint64') return values.map((value) => BigInt(value as number | bigint));
  return values as readonly number[];
}

const decodeParameters = (wire: Wire): Parameters =>
  Object.fromEntries(
    Object.entries(wire).map(([name, tagged]) => {
      const [[kind, value] = []] = Object.entries((tagged ?? {}) as Wire);
      return [name, kind === 'int64' || kind === 'uint64' ? BigInt(value as number | bigint) : (value as string | boolean | number)];
    }),
  );

/**
 * Writes an answer for the wire.
 *
 * @throws DynamoError `unknown` where a tensor is not what it says: the engine's own fault.
 */
function encodeTensors({ id, model, tensors, parameters }: Tensors, asked: string): Wire {
  return {
    model: model ?? asked,
    ...(id === undefined ? {} : { id }),
    tensors: tensors.map((tensor, index) => {
      const bad = (why: string): DynamoError => new DynamoError('unknown', `tensors[${index}] of the engine's answer ${why}`, { origin: 'backend' });
      const type = typeOfRequest(tensor.datatype);
      if (type === undefined) throw bad(`has the unknown datatype '${String(tensor.datatype)}'`);
      const count = tensor.shape.reduce((product, size) => product * size, 1);
      if (count !== tensor.values.length) throw bad(`has a shape for ${count} values but ${tensor.values.length}`);
      return {
        metadata: {
          name: tensor.name,
          data_type: type.wire,
          shape: tensor.shape,
          ...(tensor.parameters === undefined ? {} : { parameters: encodeParameters(tensor.parameters) }),
        },
        data: { data_type: type.wire, values: wireValues(type, tensor.values as ArrayLike<unknown>, bad) },
      };
    }),
    ...(parameters === undefined ? {} : { parameters: encodeParameters(parameters) }),
  };
}

function wireValues(type: TensorType, values: ArrayLike<unknown>, bad: (why: string) => DynamoError): readonly unknown[] {
  return Array.from(values, (value) => {
    if (type.contents === 'bytes') {
      if (!(value instanceof Uint8Array)) throw bad('has a value that is not bytes');
      return Array.from(value);
    }
    if (!fits(type, value)) throw bad(`has a value that is no ${type.datatype}`);
    return type.contents === 'fp32' || type.contents === 'fp64' ? float(Number(value)) : value;
  });
}

const most64 = 2n ** 63n - 1n;

const encodeParameters = (parameters: Parameters): Wire =>
  Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => {
      if (typeof value === 'bigint') return [name, value > most64 ? { uint64: value } : { int64: value }];
      if (typeof value === 'number') return [name, { double: float(value) }];
      return [name, typeof value === 'string' ? { string: value } : { bool: value }];
    }),
  );
