export { Core } from './core/core.ts';
export { SequenceTable } from './core/sequence-table.ts';
export { blockHashes, mediaByBlock, padValue, PromptHasher } from './hash/block-hash.ts';
export { loraId } from './hash/lora-id.ts';
export { rankPlaces, replicasOf } from './lora/replicas.ts';
export type { AdapterPlace, RankedPlace } from './lora/replicas.ts';
export { prefixIndexes } from './prefix/index.ts';
export { OverlapScores, RadixTree } from './prefix/radix-tree.ts';
export { RankTable } from './ranks.ts';
export { decodeEngineOutput, encodeEngineOutput } from './wire/engine-output.ts';
export { decodeTokenRequest, encodeTokenRequest } from './wire/preprocessed-request.ts';
export { decodedChunk, readTokenFrame, toTokenChunk } from './wire/token-frame.ts';
export type { CoreCounts, CoreOptions } from './core/core.ts';
export type { HashOptions, MediaSpan, PromptHashes } from './hash/block-hash.ts';
export type { PrefixIndexName } from './prefix/index.ts';
export type { EventBatch, EventCounts, IndexCounts, Overlaps, PrefixIndex, PrefixIndexOptions } from './prefix/prefix-index.ts';
export type { OverlapScore } from './prefix/radix-tree.ts';
export type { Ranks } from './ranks.ts';
export { KvRouting } from './routing/kv-routing.ts';
export type { KvRoute } from './routing/kv-route.ts';
export { routeHeader, routeHeaderName } from './tell/route-header.ts';
export { OverloadWatch } from './routing/overload-watch.ts';
export type { RoutedCall } from './routing/route-request.ts';
export { serveRouter } from './service/router-service.ts';
export type { RouterService } from './service/router-service.ts';
export { loadPolicyFile } from './policy-file/load-policy.ts';
export { readConditionalSettings } from './wire/read-settings.ts';
export { readRouterConfig } from './wire/router-config.ts';
export { defaultSettings, settingNames } from './wire/router-settings.ts';
export type { RouterSettings } from './wire/router-settings.ts';
export { loadAware, resolveOptions } from './options.ts';
export { KvSources } from './sources/kv-sources.ts';
export type { KvSink, SourceReport } from './sources/kv-sources.ts';
export type { KvChange, MediaObject, RouterEvent, StoredBlock, Tier } from './wire/kv-event.ts';
export { nearTo } from './select/transfer.ts';
export type { WorkerConfig } from './workers/worker-config.ts';
export {
  bootstrapRoom,
  bypassAnnotation,
  bypassesPrefill,
  bypassRequest,
  decodeRequest,
  prefillRequest,
  readPrefill,
  withoutBypass,
} from './select/disaggregation.ts';
export type { Bootstrap, Half } from './select/disaggregation.ts';
export { routingParts } from './routing/routing-parts.ts';
export type { RoutingParts } from './routing/routing-parts.ts';
export { AdmissionQueue } from './queue/admission.ts';
export type { AdmissionHost, Priority } from './queue/admission.ts';
export { outputGrowth } from './load/output-growth.ts';
export type { OutputGrowth } from './load/output-growth.ts';
export type { Placed, PlaceRequest } from './select/scheduler.ts';
export { readWorkerConfig } from './workers/worker-config.ts';
export { readSettingsJson } from './wire/read-settings.ts';
export { KvRecorder } from './record/recorder.ts';
export type { KvRecorderOptions, ReplayOptions } from './record/recorder.ts';
export { replayRouting } from './record/replay.ts';
export { whatIf, whatIfTable } from './record/what-if.ts';
export { openLoads, publishChanges } from './kv-publisher.ts';
export { encodeSequenceEvents } from './wire/sequence-event.ts';
export { serveSlotTracker } from './slots/slot-tracker.ts';
export type { HttpService, SlotTrackerOptions } from './slots/slot-tracker.ts';
export { serveIndexer } from './indexer/indexer-service.ts';
export type { IndexerOptions } from './indexer/indexer-service.ts';
export { serveSelection } from './selection/selection-service.ts';
export type { SelectionServiceOptions } from './selection/selection-service.ts';
export { openEngineSocket } from './publish/engine-socket.ts';
export type { EngineListener, EngineSource } from './publish/engine-socket.ts';
