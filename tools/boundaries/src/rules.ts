/** Which packages each package may depend on; who is not named here may depend on any. */
export const layers: Readonly<Record<string, readonly string[]>> = {
  metrics: [],
  runtime: ['metrics'],
  'kv-router': ['metrics', 'runtime'],
  multimodal: ['metrics', 'runtime'],
  llm: ['metrics', 'runtime', 'kv-router', 'multimodal'],
  internal: ['metrics', 'runtime', 'kv-router', 'multimodal', 'llm'],
};

/** Which folders of `packages` may import a third-party package, so that each can be replaced in one place. */
export const confined: readonly { readonly from: RegExp; readonly to: RegExp }[] = [
  { from: /^prom-client$/, to: /^metrics\/src\// },
  { from: /^fastify$|^@fastify\//, to: /^(llm|kv-router)\/src\/http\// },
  { from: /^etcd3$/, to: /^runtime\/src\/discovery\/etcd\// },
  { from: /^@nats-io\//, to: /^runtime\/src\/planes\/(\w+\/)?nats\// },
  { from: /^zeromq$/, to: /^(runtime\/src\/planes\/events\/zmq|kv-router\/src\/publish)\// },
  { from: /^@grpc\//, to: /^llm\/src\/grpc\// },
  { from: /^@huggingface\/tokenizers$/, to: /^llm\/src\/tokenizer\// },
  { from: /^@huggingface\/jinja$/, to: /^llm\/src\/template\// },
  { from: /^yaml$/, to: /^kv-router\/src\/policy-file\// },
  { from: /^node-llama-cpp$/, to: /^llm\/src\/worker\/llama\// },
  { from: /^ws$/, to: /^llm\/src\/http\/realtime\// },
  { from: /^@napi-rs\/image$/, to: /^multimodal\/src\/decode\// },
  { from: /^@node-rs\/xxhash$/, to: /^(multimodal\/src\/hash\.ts|kv-router\/src\/(hash\/hash\.test|select\/testing\/))/ },
  { from: /^hash-wasm$/, to: /^llm\/src\/model\// },
];

/** Folders of one package that never import each other: only what composes them knows both. */
export const strangers: readonly string[] = ['planes', 'discovery', 'prefix', 'parsers'];
