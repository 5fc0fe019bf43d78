export interface TappedMap {
  /** As rounded: half-precision bits [images, tokens, width]. */
  map: Uint16Array;
  /** [images, tokens], of the map as rounded. */
  rowSums: Float32Array;
  rowSquareSums: Float32Array;
  /** With storage int8: `map` as multiples of its rows' steps, [images, tokens, width] and, half precision, [images, tokens]. */
  eightBit?: { codes: Int8Array; rowSteps: Uint16Array };
}

/** Features of some images, maps still divided by their scales. */
export interface TappedBatch {
  /** In the order asked. */
  maps: TappedMap[];
  /** [images, width] */
  baseCls: Float32Array | undefined;
  baseMean: Float32Array;
}
