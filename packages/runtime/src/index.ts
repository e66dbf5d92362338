export { DynamoError } from './error.ts';
export type { DynamoErrorCode, DynamoErrorOptions } from './error.ts';
export type { CallOptions, Client, ClientOptions, Route, RoutePolicy } from './client/types.ts';
export type { PolicyName } from './client/policy/index.ts';
export type { Handler, HandlerContext } from './endpoint/handler.ts';
export type { Instance, InstanceId } from './endpoint/instance.ts';
export type { LogFields, Logger } from './log.ts';
