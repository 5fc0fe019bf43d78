/** What goes over the wire for an image, by how the work is shared between server and device; plain arithmetic. */

/** The shape of a ViT as far as transfer depends on it. */
export interface TransferShape {
  tokens: number;
  width: number;
  blocks: number;
  parameters: number;
  imageHeight: number;
  imageWidth: number;
}

/** Bytes down for an image; heads of messages not among them. */
export const bytesDown = {
  /** One row of z_L, float32. */
  cls: ({ width }: TransferShape): number => 4 * width,
  /** S_k in half precision. */
  sumFp16: ({ tokens, width }: TransferShape): number => 2 * tokens * width,
  /** S_k in 8 bits, and a scale a token. */
  sumInt8: ({ tokens, width }: TransferShape): number => tokens * (width + 4),
  /** What LAST needs: the sums up to every block, from which z_0 .. z_L follow, and a row of z_L. */
  tapsFp16: (shape: TransferShape): number => shape.blocks * bytesDown.sumFp16(shape) + bytesDown.cls(shape),
  tapsInt8: (shape: TransferShape): number => shape.blocks * bytesDown.sumInt8(shape) + bytesDown.cls(shape),
} as const;

/** A way to share the work. */
export interface Alternative {
  id: 'sum-fp16' | 'sum-int8' | 'cls' | 'taps-fp16' | 'cloud' | 'lora';
  what: string;
  /** For each image. */
  bytesUp: number;
  bytesDown: number;
  /** Once, whatever the number of images. */
  bytesOnce: number;
  /** Whether the decision, and with it the classes, stay on the device. */
  decidesOnDevice: boolean;
}

/** Answers of a cloud classifier: a label and a score in JSON. */
const ANSWER_BYTES = 200;
/** LoRA of rank 8 on the queries and values of each block, float32. */
const LORA_RANK = 8;

/**
 * The ways there are for a ViT, beside each other.
 * @param imageBytes of an encoded image as it is sent, on average
 */
export function alternatives(shape: TransferShape, imageBytes: number): Alternative[] {
  const fetched = (id: Alternative['id'], what: string, down: number): Alternative => ({
    id,
    what,
    bytesUp: imageBytes,
    bytesDown: down,
    bytesOnce: 0,
    decidesOnDevice: true,
  });
  const adapters = shape.blocks * 2 * 2 * LORA_RANK * shape.width;
  return [
    fetched('sum-fp16', 'MIET: one sum, fp16', bytesDown.sumFp16(shape)),
    fetched('sum-int8', 'MIET: one sum, int8', bytesDown.sumInt8(shape)),
    fetched('cls', 'linear: the CLS row', bytesDown.cls(shape)),
    fetched('taps-fp16', 'LAST: all taps, fp16', bytesDown.tapsFp16(shape)),
    {
      id: 'cloud',
      what: 'the cloud classifies',
      bytesUp: imageBytes,
      bytesDown: ANSWER_BYTES,
      bytesOnce: 0,
      decidesOnDevice: false,
    },
    {
      id: 'lora',
      what: 'a LoRA-tuned ViT shipped to the device',
      bytesUp: 0,
      bytesDown: 0,
      bytesOnce: 4 * (shape.parameters + adapters),
      decidesOnDevice: true,
    },
  ];
}
