import { findPackageJSON } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { readFile } from 'node:fs/promises';
import { DynamoError } from '@dynamo/runtime';

/** What one step asks of the library: the likeliest tokens with their scores, or the scores of all. */
export interface NextToken {
  readonly generateNext: {
    readonly logits: true | { readonly filter: { readonly tokens: readonly number[]; readonly includeTop: number } };
    readonly totalLogitWeight?: boolean;
    /** Temperature 0 leaves scores as the model gave them. */
    readonly options: { readonly temperature: 0 };
  };
}

/** Scores of the token after the last; `totalLogitWeight` is the sum of `exp(score - highest)` over the vocabulary. */
export interface StepResult {
  readonly next: { readonly logits?: ReadonlyMap<number, number>; readonly totalLogitWeight?: number };
}

/** One sequence of a context: a KV cache of its own, in batches with the others. */
export interface LlamaSequence {
  /** Tokens that its cache holds. */
  readonly nextTokenIndex: number;
  controlledEvaluate(input: readonly (number | readonly [number, NextToken])[]): Promise<readonly (StepResult | undefined)[]>;
  adaptStateToTokens(tokens: readonly number[], allowShift: boolean): Promise<void>;
  clearHistory(): Promise<void>;
}

export interface LlamaContext {
  getSequence(): LlamaSequence;
}

export interface LlamaModel {
  createContext(options: {
    sequences: number;
    contextSize: number;
    batchSize: number;
    threads: number;
    failedCreationRemedy: false;
  }): Promise<LlamaContext>;
  detokenize(tokens: readonly number[], specialTokens: boolean): string;
}

/** What is used of a started llama.cpp. */
export interface LlamaRuntime {
  loadModel(options: { modelPath: string; gpuLayers: 0 }): Promise<LlamaModel>;
  dispose(): Promise<void>;
}

/** What is used of the library itself. */
export interface LlamaLibrary {
  getLlama(options: { build: 'never'; gpu: false; logLevel: 'error'; skipDownload: true; progressLogs: false }): Promise<LlamaRuntime>;
}

/** A name that no type checker follows: the library is there only where somebody wants it. */
const name: string = 'node-llama-cpp';

/**
 * Loads the library: from the folder that `DYN_LLAMA_FOLDER` names, from where this package finds it, or from the folder that the
 * program was started in.
 *
 * @throws DynamoError `not_found` where it is not installed.
 */
export async function loadLibrary(): Promise<LlamaLibrary> {
  const named = process.env['DYN_LLAMA_FOLDER'];
  if (named) return (await installedIn(named)) ?? missing();
  try {
    return (await import(name)) as LlamaLibrary;
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    return (await installedIn(process.cwd())) ?? missing();
  }
}

async function installedIn(folder: string): Promise<LlamaLibrary | undefined> {
  const description = findInstalled(folder);
  if (description === undefined) return undefined;
  const { exports: doors, main } = JSON.parse(await readFile(description, 'utf8')) as { exports?: { '.'?: { import?: string } }; main?: string };
  return (await import(pathToFileURL(join(dirname(description), doors?.['.']?.import ?? main ?? 'index.js')).href)) as LlamaLibrary;
}

function missing(): never {
  throw new DynamoError('not_found', `a GGUF file is run by ${name}, which is not installed: npm install ${name}`, { data: { package: name } });
}

function findInstalled(folder: string): string | undefined {
  try {
    return findPackageJSON(name, pathToFileURL(join(folder, 'any.js')));
  } catch {
    return undefined;
  }
}
