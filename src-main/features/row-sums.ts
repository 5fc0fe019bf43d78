import { TapWriter, mapValues, type MapRequest } from '../backbone/tap-writer.ts';
import type { VitStructure } from '../backbone/find-blocks.ts';
import { DataType, encodeModel, model, OPSET, valueInfo } from '../engine/onnx/model.ts';
import { SessionThread, type ThreadSession } from '../engine/session-thread.ts';

const MAP: MapRequest = { kind: 'S', index: 0 };
const NAMES = mapValues(MAP);

/** The row sums of maps that come from elsewhere, by the very nodes that the tapped ViT has for them. */
export class RowSums {
  private constructor(
    private readonly structure: VitStructure,
    private readonly thread: SessionThread,
    private readonly session: ThreadSession,
  ) {}

  static async open(structure: VitStructure): Promise<RowSums> {
    const { tokens, width, input } = structure;
    const writer = new TapWriter({ ...structure, input: { ...input, batch: null, batchSymbol: null } }, 'fp16', OPSET);
    writer.addRowSums(NAMES);
    const bytes = encodeModel(
      model({
        name: 'row_sums',
        nodes: writer.nodes,
        inputs: [
          valueInfo(NAMES.map, DataType.FLOAT16, ['batch', tokens, width]),
          valueInfo(NAMES.scale, DataType.FLOAT, []),
        ],
        outputs: writer.outputs,
        initializers: writer.initializers,
      }),
    );
    const thread = new SessionThread();
    return new RowSums(structure, thread, await thread.open(bytes, 1));
  }

  /** @param map half-precision bits [images, tokens, width], already divided by `scale` */
  async of(map: Uint16Array, scale: number): Promise<{ rowSums: Float32Array; rowSquareSums: Float32Array }> {
    const { tokens, width } = this.structure;
    const shape = [map.length / (tokens * width), tokens, width];
    const { [NAMES.rowSums]: sums, [NAMES.rowSquareSums]: squares } = await this.session.run({
      [NAMES.map]: { storage: 'float16', shape, data: map },
      [NAMES.scale]: { storage: 'float32', shape: [], data: Float32Array.of(scale) },
    });
    return { rowSums: sums!.data as Float32Array, rowSquareSums: squares!.data as Float32Array };
  }

  async close(): Promise<void> {
    await this.thread.close();
  }
}
