import { DynamoError } from '@dynamo/runtime';
import { Core, PromptHasher } from '@dynamo/kv-router/internal';

/** What keeps the caches of requests apart. */
export interface BlockSalt {
  salt?: string;
  loraName?: string;
}

/** A full block's tokens and its names (spec block-manager 3). */
export interface TokenBlock extends Readonly<BlockSalt> {
  readonly tokens: Uint32Array;
  /** Of its tokens. */
  readonly blockHash: bigint;
  /** Of its tokens and all before them: the name under which pools know it. */
  readonly sequenceHash: bigint;
  /** The sequence hash of the block before; absent at the start. */
  readonly parentHash?: bigint;
  /** What routers know the tokens by (spec kv-router 1.2). */
  readonly tokensHash: bigint;
}

/** Names full blocks of tokens; holds the memory of the hashing core. */
export class BlockHasher {
  readonly pageSize: number;
  readonly #core = new Core();
  readonly #router = new PromptHasher(this.#core);
  readonly #pair = new BigUint64Array(2);

  constructor(pageSize: number) {
    this.pageSize = pageSize;
  }

  /** The seed of a request's hashes: the hash of its compact JSON, absent members left out. */
  saltHash({ salt, loraName }: BlockSalt): bigint {
    return this.#hash(new TextEncoder().encode(JSON.stringify({ salt, lora_name: loraName })), 0n);
  }

  /** The chain of full blocks of some tokens under a seed: block and sequence hash of each. */
  chain(tokens: Uint32Array, seed: bigint, parent?: bigint): [block: bigint, sequence: bigint][] {
    const out: [bigint, bigint][] = [];
    let before = parent;
    for (let at = 0; at + this.pageSize <= tokens.length; at += this.pageSize) {
      const block = this.#hash(bytesOf(tokens.subarray(at, at + this.pageSize)), seed);
      before = before === undefined ? block : this.#link(before, block, seed);
      out.push([block, before]);
    }
    return out;
  }

  /** The full blocks of a prompt, or of what follows a block of it; tokens that fill no block are left out. */
  blocks(tokens: Uint32Array | readonly number[], salt: BlockSalt = {}, after?: TokenBlock): TokenBlock[] {
    if (after !== undefined && (after.salt !== salt.salt || after.loraName !== salt.loraName))
      throw new DynamoError('invalid_argument', 'blocks of different salts or adapters are no sequence');
    const list = tokens instanceof Uint32Array ? tokens.slice() : tokenList(tokens);
    const { local } = this.#router.hashes(list, { blockSize: this.pageSize, lora: salt.loraName, salt: salt.salt });
    const named = { ...(salt.salt === undefined ? {} : { salt: salt.salt }), ...(salt.loraName === undefined ? {} : { loraName: salt.loraName }) };
    let parentHash = after?.sequenceHash;
    return this.chain(list, this.saltHash(salt), parentHash).map(([blockHash, sequenceHash], at) => {
      const own = list.subarray(at * this.pageSize, (at + 1) * this.pageSize);
      const chained = parentHash === undefined ? {} : { parentHash };
      parentHash = sequenceHash;
      return { tokens: own, blockHash, sequenceHash, tokensHash: local[at] as bigint, ...chained, ...named };
    });
  }

  #hash(bytes: Uint8Array, seed: bigint): bigint {
    this.#core.write(bytes);
    return BigInt.asUintN(64, this.#core.wasm.hashInput(bytes.length, seed));
  }

  #link(parent: bigint, block: bigint, seed: bigint): bigint {
    this.#pair[0] = parent;
    this.#pair[1] = block;
    this.#core.writeHashes(this.#pair);
    return BigInt.asUintN(64, this.#core.wasm.hashInput(16, seed));
  }
}

/** Tokens are 32-bit counts; anything else would become another token silently. */
export function tokenList(tokens: readonly number[]): Uint32Array {
  const wrong = tokens.findIndex((token) => !Number.isInteger(token) || token < 0 || token > 0xffff_ffff);
  if (wrong >= 0) throw new DynamoError('invalid_argument', `token ${wrong} must be a 32-bit count, got ${String(tokens[wrong])}`);
  return Uint32Array.from(tokens);
}

const bytesOf = (tokens: Uint32Array): Uint8Array => new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength);
