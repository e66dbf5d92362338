import { encodeStreamResponse, type OutputTensor } from '../messages.ts';

interface CapturedTensor {
  name: string;
  datatype: string;
  shape: string[];
  contents: { bytes_contents?: string[]; int_contents?: number[] };
}

interface Captured {
  error_message?: string;
  infer_response?: { model_name: string; id?: string; outputs: CapturedTensor[] };
}

/** Captured stream responses, which have no bytes of their own in the vectors, as protobuf in hex. */
export const encodedStreamResponses = (captured: readonly Captured[]): string[] =>
  captured.map(({ error_message: error, infer_response: response }) =>
    encodeStreamResponse(
      response === undefined ? { error: error ?? '' } : { model: response.model_name, id: response.id ?? '', outputs: response.outputs.map(tensor) },
    ).toString('hex'),
  );

const tensor = ({ name, datatype, shape, contents }: CapturedTensor): OutputTensor => ({
  name,
  datatype,
  shape: shape.map(Number),
  contents:
    contents.bytes_contents === undefined
      ? { of: 'int', values: contents.int_contents ?? [] }
      : { of: 'bytes', values: contents.bytes_contents.map((text) => Buffer.from(text, 'base64')) },
});
