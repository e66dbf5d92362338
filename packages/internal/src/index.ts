/**
 * Documented internals for planners and the curious: 0.x for ever, so any version may change them.
 *
 * The names live where they are used; this door only gathers them.
 *
 * @packageDocumentation
 */
export { CancellationToken, Component, Context, linkSignals, Namespace } from '@dynamo/runtime/internal';
export type { ContextOptions, DiscoveryHost, LinkedSignal, TraceContext } from '@dynamo/runtime/internal';
export type { Bucket, Discovery, DiscoveryChange, DiscoveryQuery, DiscoveryRecord } from '@dynamo/runtime/internal';
export { ModelDeploymentCard, ModelRuntimeConfig } from '@dynamo/llm/internal';
export {
  adaptLogitsProcessor,
  applyLogitsProcessors,
  forcedSequenceProcessor,
  helloWorldProcessor,
  temperatureProcessor,
} from '@dynamo/llm/internal';
export type { ApplyOptions, BatchedLogitsProcessor } from '@dynamo/llm/internal';
export type { CardFile, ModelRuntimeConfigOptions, PublishedCard, WireCard } from '@dynamo/llm/internal';
export { blockHashes, KvRecorder, loraId, OverlapScores, RadixTree } from '@dynamo/kv-router/internal';
export type {
  CoreCounts,
  CoreOptions,
  HashOptions,
  KvChange,
  KvRecorderOptions,
  MediaObject,
  OverlapScore,
  Ranks,
  ReplayOptions,
  RouterEvent,
  StoredBlock,
  Tier,
} from '@dynamo/kv-router/internal';
export {
  Connector,
  decodeRdmaMetadata,
  Descriptor,
  Device,
  encodeRdmaMetadata,
  ReadableOperation,
  ReadOperation,
  WritableOperation,
  WriteOperation,
} from '@dynamo/multimodal/internal';
export type {
  ActiveOperation,
  ConnectorOptions,
  DescriptorSource,
  Expected,
  Movement,
  Offer,
  OperationStatus,
  PassiveOperation,
  RdmaMetadata,
  Region,
  RemoteRegion,
  Transfer,
  TransferName,
  TransferOptions,
  WireDescriptor,
} from '@dynamo/multimodal/internal';
export type { DecodeOptions, FetchOptions, MultimodalOptions } from '@dynamo/multimodal';
// What the names above mention, so that a planner needs no second import to write it down.
export type { CallOptions, EndpointPath, HandlerContext, Instance, InstanceId, LogFields, Logger } from '@dynamo/runtime';
export type { CardOptions, LogitsProcessor, Tensors } from '@dynamo/llm';
export { MockEngine } from './mock/mock-engine.ts';
export type { EngineLoad } from './mock/mock-engine.ts';
export type { Admission, CacheChange, ForwardPass, Pass } from './mock/pass.ts';
export type { BlockNames } from './mock/block-names.ts';
export { engineSettings } from './mock/options.ts';
export type { EngineSettings, MockEngineOptions } from './mock/options.ts';
export type { MockRequest, MockSequence, SequenceState } from './mock/sequence.ts';
export { FixedTiming, PolynomialTiming, ProfileTiming } from './mock/timing.ts';
export type { MockTiming, ProfileTables } from './mock/timing.ts';
export { readMockLaunch } from './mock/launch-options.ts';
export type { MockLaunch } from './mock/launch-options.ts';
export type { WireEngine, WireLaunch, WireTiming } from './mock/wire/launch-config.ts';
export { VirtualConnectorClient } from './planner/client.ts';
export { VirtualConnectorCoordinator } from './planner/coordinator.ts';
export type { CoordinatorOptions } from './planner/coordinator.ts';
export type { ConnectorHost, PlannerDecision } from './planner/decision.ts';
export type { PassHost } from './fpm/topic.ts';
export type { EventChange, EventCounts, EventPlane, EventPublisher, EventScope, SubscribeOptions } from '@dynamo/runtime/internal';
export { ForwardPassPublisher } from './fpm/publisher.ts';
export { ForwardPassRelay } from './fpm/relay.ts';
export { ForwardPassSubscriber } from './fpm/subscriber.ts';
export { decodeForwardPass, encodeForwardPass } from './fpm/wire/forward-pass.ts';
export type { ForwardPassMetrics, PassFacts } from './fpm/wire/forward-pass.ts';
export { BlockManager } from './blocks/block-manager.ts';
export type { BlockManagerOptions, TierMatches } from './blocks/block-manager.ts';
export { CacheSlots } from './blocks/cache-slots.ts';
export type { SlotUpdate } from './blocks/cache-slots.ts';
export { tierSizes } from './blocks/tier-sizes.ts';
export type { BlockList } from './blocks/block-list.ts';
export type { Block, BlockState } from './blocks/block.ts';
export type { Layer } from './blocks/layer.ts';
export type { BlockEventSink } from './blocks/block-events.ts';
export type { BlockSalt, TokenBlock } from './blocks/block-hasher.ts';
export type { BlockTier } from './blocks/block-tier.ts';
export type { DeviceTier } from './blocks/device-tier.ts';
export type { DiskFileOptions } from './blocks/disk-file.ts';
export type { OffloadFilter } from './blocks/frequency-filter.ts';
export type { BlockDataType, BlockShape, HostLayout } from './blocks/layout.ts';
export type { BlockData, TensorView, TensorViewOptions } from './blocks/tensor-view.ts';
export type { PoolStatus, ResetOutcome } from './blocks/tier-pool.ts';
