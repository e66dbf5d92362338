import type { InferRequest, InferResponse, InputTensor } from './messages.ts';
import { badRequest, quoted } from './status.ts';

/** What a client asks a text model. */
export interface TextAsked {
  readonly prompt: string;
  readonly stream: boolean;
}

/**
 * Reads the inputs `text_input` and `streaming`, also named `stream`, of a request to a text model (spec llm 7).
 *
 * @throws GrpcFailure INVALID_ARGUMENT where an input is missing, unknown, or not what it says.
 */
export function readText({ inputs, raw }: InferRequest): TextAsked {
  if (raw.length > 0 && raw.length !== inputs.length) throw badRequest('`raw_input_contents` must be used for all inputs');
  let prompt: string | undefined;
  let stream = false;
  for (const [index, input] of inputs.entries()) {
    if (input.name === 'text_input') prompt = readPrompt(input, raw[index]);
    else if (input.name === 'stream' || input.name === 'streaming') stream = readStream(input, raw[index]);
    else throw badRequest(`Invalid input name: ${input.name}, supported inputs are 'text_input', 'stream'`);
  }
  if (prompt === undefined) throw badRequest("Missing required input: 'text_input'");
  return { prompt, stream };
}

function readPrompt({ datatype, shape, contents }: InputTensor, raw: Uint8Array | undefined): string {
  if (datatype !== 'BYTES') throw badRequest(`Expected 'text_input' to be of type BYTES for string input, got ${quoted(datatype)}`);
  if (!(shape.length === 1 || shape.length === 2) || shape.some((size) => size !== 1n))
    throw badRequest(`Expected 'text_input' to have shape [1], got [${shape.join(', ')}]`);
  if (contents !== undefined) {
    const [text] = contents.bytes;
    if (text === undefined) throw badRequest("'text_input' must contain exactly one element");
    return Buffer.from(text).toString();
  }
  if (raw === undefined) throw badRequest("Missing raw input for 'text_input'");
  if (raw.length < 4) throw badRequest("'text_input' raw input must be length-prefixed (>= 4 bytes)");
  const told = new DataView(raw.buffer, raw.byteOffset, 4).getUint32(0, true);
  // The real frontend takes whatever is there; half a message must not pass for a whole one.
  if (told !== raw.length - 4) throw badRequest(`'text_input' raw input says that it has ${told} bytes but has ${raw.length - 4}`);
  return Buffer.from(raw.subarray(4)).toString();
}

function readStream({ name, datatype, shape, contents }: InputTensor, raw: Uint8Array | undefined): boolean {
  if (datatype !== 'BOOL') throw badRequest(`Expected '${name}' to be of type BOOL, got ${quoted(datatype)}`);
  if (shape.length !== 1 || shape[0] !== 1n) throw badRequest(`Expected 'stream' to have shape [1], got [${shape.join(', ')}]`);
  if (contents !== undefined) {
    const [flag] = contents.bool;
    if (flag === undefined) throw badRequest("'stream' must contain exactly one element");
    return flag;
  }
  if (raw === undefined) throw badRequest("Missing raw input for 'stream'");
  const [flag] = raw;
  if (flag === undefined) throw badRequest("'stream' raw input must contain at least one byte");
  return flag !== 0;
}

/** The choices of an answer, or of one piece of it, as tensors of texts. */
export function textResponse(
  { model, id }: Pick<InferRequest, 'model' | 'id'>,
  texts: readonly string[],
  finishes: readonly string[],
): InferResponse {
  const tensor = (name: string, values: readonly string[]): InferResponse['outputs'][number] => ({
    name,
    datatype: 'BYTES',
    shape: [values.length],
    contents: { of: 'bytes', values: values.map((value) => Buffer.from(value)) },
  });
  return { model, id, outputs: [tensor('text_output', texts), tensor('finish_reason', finishes)] };
}
