import { type CallOptions, type Client, Metadata, type ServiceError } from '@grpc/grpc-js';

const asItIs = (bytes: Buffer): Buffer => bytes;
const pathOf = (name: string): string => `/inference.GRPCInferenceService/${name}`;

/** Makes a unary call with the bytes of its message. */
export const callOnce = (
  client: Client,
  method: string,
  request: Uint8Array,
  { headers = {}, ...options }: CallOptions & { headers?: Record<string, string> } = {},
): Promise<{ message?: Buffer; error?: ServiceError }> =>
  new Promise((resolve) => {
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    client.makeUnaryRequest(pathOf(method), asItIs, asItIs, Buffer.from(request), metadata, options, (error, message) =>
      resolve({ ...(error === null ? {} : { error }), ...(message === undefined ? {} : { message }) }),
    );
  });

/** Makes a `ModelStreamInfer` call with the bytes of its messages, and reads it to its end. */
export const callStream = (client: Client, requests: readonly Uint8Array[]): Promise<{ messages: Buffer[]; error?: ServiceError }> =>
  new Promise((resolve) => {
    const messages: Buffer[] = [];
    const call = client.makeBidiStreamRequest<Buffer, Buffer>(pathOf('ModelStreamInfer'), asItIs, asItIs);
    call.on('data', (message: Buffer) => messages.push(message));
    call.on('error', (error: ServiceError) => resolve({ messages, error }));
    call.on('end', () => resolve({ messages }));
    for (const request of requests) call.write(Buffer.from(request));
    call.end();
  });
