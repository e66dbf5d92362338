import type { MockLaunch } from '@dynamo/internal';
import { cardFromDirectory, ModelRuntimeConfig, type WireCard } from '@dynamo/llm/internal';

/** What a mock worker says of itself (spec mocker 1). */
export async function mockCard(
  launch: MockLaunch,
  options: { readonly model: string; readonly name?: string | undefined; readonly host: string },
): Promise<WireCard> {
  const { engine, wire } = launch;
  const role = wire.engine.worker_type;
  const card = await cardFromDirectory(options.model, {
    ...(options.name === undefined ? {} : { name: options.name }),
    blockSize: wire.engine.block_size,
    contextLength: wire.engine.max_model_len ?? 0,
  });
  const isDecode = role === 'decode';
  const config = new ModelRuntimeConfig(
    {
      contextLength: wire.engine.max_model_len ?? 0,
      kvBlocks: wire.engine.num_gpu_blocks,
      ...(wire.engine.max_num_seqs === null ? {} : { sequences: wire.engine.max_num_seqs }),
      ...(wire.engine.max_num_batched_tokens === null ? {} : { batchedTokens: wire.engine.max_num_batched_tokens }),
      dataParallelSize: launch.ranks,
      localIndexer: launch.localIndexer && !isDecode,
      engineData: { output_replay_consumer: true },
      ...(role === 'prefill' && launch.bootstrapPort !== undefined ? { bootstrap: { host: options.host, port: launch.bootstrapPort } } : {}),
    },
    { kv_event_publishing_enabled: (engine.prefixCaching ?? true) && !isDecode },
  );
  return {
    ...card,
    worker_type: role,
    needs: role === 'aggregated' ? [] : [[role === 'prefill' ? 'decode' : 'prefill']],
    ...(role === 'prefill' ? { model_type: '' } : {}),
    runtime_config: config.toWire(),
  } as WireCard;
}
