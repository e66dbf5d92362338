import type { Engine, ServedModel, ServeModelOptions } from '@dynamo/llm';
import type { Logger } from '@dynamo/runtime';
import type { EngineName } from './names.ts';
import { echo } from './echo.ts';
import { llama } from './llama.ts';
import type { LlamaSettings } from '../settings.ts';

export type { EngineName } from './names.ts';

/** What an engine is made from. */
export interface EngineOptions {
  /** Model folder, or a GGUF file. */
  readonly modelPath: string;
  /** File with a chat template that stands in for the model's own. */
  readonly chatTemplate?: string | undefined;
  /** Pause before each token, in milliseconds. */
  readonly delayMs: number;
}

/** An engine of this process, with what goes along with it. */
export interface LocalEngine {
  readonly engine: Engine;
  /** What its model's card says of it, and whether it tells of its cache. */
  readonly serving?: Pick<ServeModelOptions, 'contextLength' | 'blockSize' | 'capacity' | 'events'>;
  /** It is served: from now on it tells of its cache. */
  readonly onServed?: (served: ServedModel) => void;
  /** Frees what it holds. */
  readonly close?: () => Promise<void>;
}

/** Makes an engine; whatever it loads is loaded when this resolves. */
export type EngineFactory = (options: EngineOptions & { readonly llama: LlamaSettings; readonly log: Logger }) => Promise<LocalEngine>;

/** Every engine by name: a new one is one file, one name and one line here. Servers that bring their own model (`openai`) are upstreams.ts's. */
export const engines: Readonly<Record<Exclude<EngineName, 'openai'>, EngineFactory>> = {
  echo: async (options) => ({ engine: await echo(options) }),
  llama,
};
