/** Features of some images, maps still divided by their scales. */
export interface TappedBatch {
  /** By map, in the order asked: half-precision bits [images, tokens, width], and float sums [images, tokens]. */
  maps: { map: Uint16Array; rowSums: Float32Array; rowSquareSums: Float32Array }[];
  /** [images, width] */
  baseCls: Float32Array | undefined;
  baseMean: Float32Array;
}
