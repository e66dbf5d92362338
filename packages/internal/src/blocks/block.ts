import { DynamoError } from '@dynamo/runtime';
import { type BlockHasher, type BlockSalt, type TokenBlock, tokenList } from './block-hasher.ts';
import { type Layer, newLayer } from './layer.ts';
import { type Layout, offsetOf } from './layout.ts';
import { type BlockData, numbersIn, tensorView, type TensorView, type TensorViewOptions } from './tensor-view.ts';

/** From empty to findable by others; `returned` is a handle that has done its work (spec block-manager 3). */
export type BlockState = 'reset' | 'partial' | 'complete' | 'registered' | 'returned';

/** What a block needs of its tier. */
export interface BlockHome {
  readonly name: 'device' | 'host' | 'disk';
  readonly layout: Layout;
  readonly hasher: BlockHasher;
  /** The block's memory in this process. */
  pieces(slot: number): readonly Uint8Array[] | undefined;
  drop(slot: number): void;
  release(slot: number): void;
  share(slot: number): void;
}

/** What a registered block holds, and where; `primary` is the slot that has the hash. */
export interface Registered {
  readonly slot: number;
  readonly primary: number;
  readonly content: TokenBlock;
}

/** Makes a handle: on a slot that was just taken, or on a registered one that was taken into use. */
export let newBlock: (home: BlockHome, at: number | Registered) => Block;

/** Ends the handles of blocks whose slots live on under others. */
export let surrender: (block: Block) => void;

/** Keeps a block's slot from being used for something else, even if its owner returns it, until the result is disposed. */
export let pin: (block: Block) => Disposable;

/**
 * A block of one tier, as long as the handle is held: filled alone, then shared.
 *
 * Its memory must not be written any more, nor its views kept, once it is registered or returned.
 */
export class Block implements Disposable {
  readonly #home: BlockHome;
  readonly #slot: number;
  readonly #primary: number;
  #state: BlockState;
  #tokens: number[] = [];
  #salt: BlockSalt = {};
  #after: TokenBlock | undefined;
  #content: TokenBlock | undefined;
  #pins = 0;
  #wasDropped = false;

  static {
    newBlock = (home, at) => new Block(home, at);
    surrender = (block) => void (block.#state = 'returned');
    pin = (block) => {
      block.#pins++;
      return {
        [Symbol.dispose]() {
          if (--block.#pins === 0 && block.#wasDropped) block.#home.drop(block.#slot);
        },
      };
    };
  }

  private constructor(home: BlockHome, at: number | Registered) {
    this.#home = home;
    const registered = typeof at === 'number' ? undefined : at;
    this.#slot = typeof at === 'number' ? at : at.slot;
    this.#primary = registered?.primary ?? this.#slot;
    this.#content = registered?.content;
    this.#state = registered === undefined ? 'reset' : 'registered';
  }

  /** Its number within the tier. */
  get id(): number {
    return this.#slot;
  }

  get tier(): 'device' | 'host' | 'disk' {
    return this.#home.name;
  }

  get state(): BlockState {
    return this.#state;
  }

  /** What it holds once it is complete. */
  get content(): TokenBlock | undefined {
    return this.#content;
  }

  /** Tokens that it has. */
  get tokenCount(): number {
    return this.#content?.tokens.length ?? this.#tokens.length;
  }

  /** Tokens that it still takes. */
  get remaining(): number {
    return this.#home.layout.pageSize - this.tokenCount;
  }

  /** Opens an empty block for tokens: of the start of a sequence, or of what follows another block. */
  initSequence(options: BlockSalt & { after?: TokenBlock } = {}): void {
    this.#expect('reset', 'Block is not reset');
    const { after, salt = after?.salt, loraName = after?.loraName } = options;
    this.#salt = { ...(salt === undefined ? {} : { salt }), ...(loraName === undefined ? {} : { loraName }) };
    this.#after = after;
    this.#state = 'partial';
  }

  addToken(token: number): void {
    this.#expect('partial', 'Block is not partial');
    if (this.remaining === 0) throw new DynamoError('invalid_argument', 'Block state is invalid: Block is full');
    this.#tokens.push(...tokenList([token]));
  }

  /** Takes as many tokens as fit and returns the rest. */
  addTokens(tokens: readonly number[]): number[] {
    this.#expect('partial', 'Block is not partial');
    const rest = tokens.slice(this.remaining);
    this.#tokens.push(...tokenList(tokens.slice(0, this.remaining)));
    return rest;
  }

  /** Takes the last token back. */
  pop(): number | undefined {
    this.#expect('partial', 'Block is not partial');
    return this.#tokens.pop();
  }

  /** Names a block that has all its tokens. */
  commit(): TokenBlock {
    this.#expect('partial', 'Block is not partial');
    if (this.remaining > 0) throw new DynamoError('invalid_argument', `Block state is invalid: Block misses ${this.remaining} tokens`);
    const [content] = this.#home.hasher.blocks(this.#tokens, this.#salt, this.#after);
    return this.#complete(content as TokenBlock);
  }

  /** Gives an empty block its tokens and names at once. */
  applyTokenBlock(content: TokenBlock): void {
    this.#expect('reset', 'Block is not reset');
    const { pageSize } = this.#home.layout;
    if (content.tokens.length !== pageSize)
      throw new DynamoError('invalid_argument', `a block holds ${pageSize} tokens, not ${content.tokens.length}`, { data: { pageSize } });
    this.#complete(content);
  }

  /** How many layers it has. */
  get length(): number {
    return this.#home.layout.layers;
  }

  at(layer: number): Layer {
    if (!Number.isInteger(layer) || layer < 0 || layer >= this.length)
      throw new DynamoError('invalid_argument', `there is no layer ${layer}: the block has ${this.length}`);
    return newLayer(this.#home.layout, () => this.#pieces(), layer);
  }

  toList(): Layer[] {
    return Array.from({ length: this.length }, (_, layer) => this.at(layer));
  }

  [Symbol.iterator](): Iterator<Layer> {
    return this.toList()[Symbol.iterator]();
  }

  /** The numbers of the whole block, without a copy. @throws DynamoError `invalid_argument` where they don't lie together. */
  data(): BlockData {
    return numbersIn(this.#home.layout, this.#whole());
  }

  /** The block as a tensor of shape [1, layers, outer, page, inner]. */
  toTensorView(options: TensorViewOptions = {}): TensorView {
    return tensorView(this.#home.layout, this.#whole(), this.length, options);
  }

  /** Another handle on a registered block. */
  share(): Block {
    this.#expect('registered', 'Block is not registered');
    this.#home.share(this.#primary);
    return new Block(this.#home, { slot: this.#primary, primary: this.#primary, content: this.#content as TokenBlock });
  }

  /** Gives the block back. @throws DynamoError `invalid_argument` the second time. */
  release(): void {
    if (this.#state === 'returned')
      throw new DynamoError('invalid_argument', `block ${this.#slot} was returned already`, { data: { block: this.#slot } });
    const shared = this.#state === 'registered';
    this.#state = 'returned';
    if (!shared || this.#primary !== this.#slot) {
      if (this.#pins > 0) this.#wasDropped = true;
      else this.#home.drop(this.#slot);
    }
    if (shared) this.#home.release(this.#primary);
  }

  /** Gives the block back unless that was done. */
  [Symbol.dispose](): void {
    if (this.#state !== 'returned') this.release();
  }

  #complete(content: TokenBlock): TokenBlock {
    this.#content = content;
    this.#tokens = [];
    this.#state = 'complete';
    return content;
  }

  #expect(state: BlockState, otherwise: string): void {
    if (this.#state === 'returned')
      throw new DynamoError('invalid_argument', `block ${this.#slot} was returned already`, { data: { block: this.#slot } });
    if (this.#state !== state)
      throw new DynamoError('invalid_argument', `Block state is invalid: ${otherwise}`, { data: { block: this.#slot, state: this.#state } });
  }

  #pieces(): readonly Uint8Array[] {
    if (this.#state === 'returned')
      throw new DynamoError('invalid_argument', `block ${this.#slot} was returned already`, { data: { block: this.#slot } });
    const pieces = this.#home.pieces(this.#slot);
    if (pieces === undefined) throw new DynamoError('invalid_argument', `blocks of the ${this.#home.name} tier are not in this process's memory`);
    return pieces;
  }

  #whole(): Uint8Array {
    const pieces = this.#pieces();
    if (this.#home.layout.kind !== 'contiguous')
      throw new DynamoError('invalid_argument', 'the block is not contiguous: its layers lie apart, take them one by one');
    return pieces[0] as Uint8Array;
  }
}
