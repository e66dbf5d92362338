import { DynamoError } from '@dynamo/runtime';
import { type Layout, offsetOf } from './layout.ts';
import { type BlockData, numbersIn, tensorView, type TensorView, type TensorViewOptions } from './tensor-view.ts';

/** Makes the view of a layer; `pieces` throws once the block can no longer be used. */
export let newLayer: (layout: Layout, pieces: () => readonly Uint8Array[], layer: number) => Layer;

/** One layer of a block. */
export class Layer {
  readonly #layout: Layout;
  readonly #pieces: () => readonly Uint8Array[];
  readonly #layer: number;

  static {
    newLayer = (layout, pieces, layer) => new Layer(layout, pieces, layer);
  }

  private constructor(layout: Layout, pieces: () => readonly Uint8Array[], layer: number) {
    this.#layout = layout;
    this.#pieces = pieces;
    this.#layer = layer;
  }

  /** The numbers of the layer, without a copy. @throws DynamoError `invalid_argument` where its halves lie apart. */
  data(): BlockData {
    const { layers, blockBytes, outerDim, kind } = this.#layout;
    if (kind === 'layers_outer_contiguous' && outerDim > 1)
      throw new DynamoError('invalid_argument', 'the layer is not contiguous: take it as a tensor view');
    return numbersIn(this.#layout, this.#start().subarray(0, blockBytes / layers));
  }

  /** The layer as a tensor of shape [1, 1, outer, page, inner]. */
  toTensorView(options: TensorViewOptions = {}): TensorView {
    return tensorView(this.#layout, this.#start(), 1, options);
  }

  #start(): Uint8Array {
    const pieces = this.#pieces();
    const layout = this.#layout;
    if (layout.kind === 'contiguous') return (pieces[0] as Uint8Array).subarray(offsetOf(layout, 0, this.#layer, 0));
    return pieces[this.#layer * (pieces.length / layout.layers)] as Uint8Array;
  }
}
