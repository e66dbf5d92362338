import { coreWasm } from './core.wasm.ts';

/** What the compiled core exports: addresses and counts, 64-bit numbers as bigint. The sources are in `assembly/`. */
export interface CoreExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  setLimit(bytes: bigint): void;
  setCaps(blocks: number, bytes: bigint): void;
  setShortLength(length: number): void;
  input(bytes: number): number;
  inputCapacity(): number;
  hashInput(bytes: number, seed: bigint): bigint;
  promptTokens(n: number): number;
  promptRoom(n: number): number;
  promptHash(n: number, size: number, width: number, seed: bigint): number;
  promptChain(n: number): void;
  promptLocal(): number;
  promptSequence(): number;
  bindRank(rank: number, workerId: bigint, dpRank: number): number;
  expectRanks(count: number): number;
  clearRank(rank: number): void;
  forgetRank(rank: number): void;
  rankCount(): number;
  decodeInput(bytes: number, asJson: number): number;
  eventAt(i: number): number;
  rankOfEvent(i: number): number;
  applyEvent(i: number, rank: number): number;
  applyEventOf(i: number, workerId: bigint): number;
  storeInput(tier: number, rank: number, chained: number, parent: bigint, n: number): number;
  removeInput(tier: number, rank: number, n: number): number;
  predict(rank: number, n: number, stamp: number): number;
  expireInput(rank: number, stamp: number, n: number): number;
  hasStampInput(rank: number, stamp: number, i: number): number;
  stampCount(rank: number): number;
  find(hashes: number, n: number, flags: number): number;
  findTiers(hashes: number, n: number): void;
  pairsArea(): number;
  lastArea(): number;
  tierArea(tier: number): number;
  addInput(rank: number, n: number): number;
  removeSequenceInput(rank: number, n: number): number;
  holdersInput(rank: number, n: number): number;
  depthsAt(hashes: number, n: number): number;
  sequenceCount(): number;
  dumpStart(): number;
  dumpNext(): number;
  dumpNextEdge(): number;
  nodeCount(): number;
  edgeCount(): number;
  entryCount(): number;
  tierEntryCount(): number;
  heldBlockCount(): number;
  heldByteCount(): number;
  workingByteCount(): number;
  evictedBlockCount(): number;
}

// The types of Node name no WebAssembly; these two constructors are all that is needed of it.
interface WebAssemblyFace {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { readonly exports: unknown };
}

let compiled: object | undefined;

/** A new, empty core: its own memory, over code that is compiled once a process. */
export function instantiateCore(): CoreExports {
  const { Module, Instance } = (globalThis as unknown as { WebAssembly: WebAssemblyFace }).WebAssembly;
  compiled ??= new Module(Buffer.from(coreWasm, 'base64'));
  return new Instance(compiled).exports as CoreExports;
}
