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
export type { CardFile, ModelRuntimeConfigOptions, PublishedCard, WireCard } from '@dynamo/llm/internal';
export { blockHashes, loraId, OverlapScores, RadixTree } from '@dynamo/kv-router/internal';
export type { CoreCounts, CoreOptions, HashOptions, OverlapScore, Ranks } from '@dynamo/kv-router/internal';
// What the names above mention, so that a planner needs no second import to write it down.
export type { CallOptions, EndpointPath, HandlerContext, Instance, InstanceId } from '@dynamo/runtime';
export type { CardOptions } from '@dynamo/llm';
