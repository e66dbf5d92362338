import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';

/** Messages travel as bytes. */
const asItIs = (bytes: Buffer): Buffer => bytes;

const method = (name: string, stream = false): MethodDefinition<Buffer, Buffer> => ({
  path: `/inference.GRPCInferenceService/${name}`,
  requestStream: stream,
  responseStream: stream,
  // Messages are read where a failure to do so can be told in the real frontend's words.
  requestSerialize: asItIs,
  requestDeserialize: asItIs,
  responseSerialize: asItIs,
  responseDeserialize: asItIs,
});

/** Methods of the protocol that the real frontend does not have either (spec llm 7). */
export const unimplemented = [
  'ServerMetadata',
  'ModelStatistics',
  'RepositoryIndex',
  'RepositoryModelLoad',
  'RepositoryModelUnload',
  'SystemSharedMemoryStatus',
  'SystemSharedMemoryRegister',
  'SystemSharedMemoryUnregister',
  'CudaSharedMemoryStatus',
  'CudaSharedMemoryRegister',
  'CudaSharedMemoryUnregister',
  'TraceSetting',
  'LogSettings',
] as const;

const answered = ['ServerLive', 'ServerReady', 'ModelReady', 'ModelMetadata', 'ModelConfig', 'ModelInfer'] as const;

/** The service of the protocol. */
export const definition: ServiceDefinition = Object.fromEntries([
  ...[...answered, ...unimplemented].map((name) => [name, method(name)] as const),
  ['ModelStreamInfer', method('ModelStreamInfer', true)] as const,
]);
