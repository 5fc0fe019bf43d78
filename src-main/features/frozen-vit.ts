import { Failure } from '../base/failure.ts';
import { readModel, type Backbone } from '../backbone/catalogue.ts';
import { addTaps, FLOAT_PIXELS, mapValues, withFloatPixels } from '../backbone/surgery.ts';
import type { MapRequest, MapStorage } from '../backbone/surgery.ts';
import { DataType, encodeModel } from '../engine/onnx/model.ts';
import type { SentTensor } from '../engine/session-messages.ts';
import { SessionThread, type ThreadSession } from '../engine/session-thread.ts';
import type { TappedBatch, TappedMap } from './tapped-batch.ts';
import { raiseScales } from './map-scales.ts';

const FLOAT: number = DataType.FLOAT;

/** The frozen ViT with the outputs that a method needs, run by onnxruntime on a thread of its own. */
export class FrozenVit {
  /** Images that go through together. */
  readonly batch: number;

  private constructor(
    private readonly backbone: Backbone,
    private readonly maps: readonly MapRequest[],
    private readonly thread: SessionThread,
    private readonly session: ThreadSession,
    private readonly pixels: string,
    batch: number,
  ) {
    this.batch = batch;
  }

  /** @throws Failure `backbone` when onnxruntime cannot open the model. */
  static async open(
    backbone: Backbone,
    maps: readonly MapRequest[],
    { threads, storage = 'fp16', batch = 8 }: { threads: number; storage?: MapStorage; batch?: number },
  ): Promise<FrozenVit> {
    const { structure } = backbone;
    const { input } = structure;
    const tapped = addTaps(await readModel(backbone), structure, { maps, storage, base: true });
    const isFloat = input.dataType === FLOAT;
    const model = isFloat ? tapped : withFloatPixels(tapped, structure);
    const pixels = isFloat ? input.name : FLOAT_PIXELS;
    const thread = new SessionThread();
    try {
      const session = await thread.open(encodeModel(model), threads);
      return new FrozenVit(backbone, maps, thread, session, pixels, input.batch ?? batch);
    } catch (error) {
      await thread.close();
      throw cannotRun(backbone, error);
    }
  }

  /**
   * Runs at most `batch` images through the ViT.
   * @param pixels [count, 3, height, width], normalised
   * @param scales by map: powers of two by which the maps are divided before they are rounded
   */
  async run(pixels: Float32Array, count: number, scales: readonly number[]): Promise<TappedBatch> {
    const { input, imageHeight, imageWidth } = this.backbone.structure;
    const fixed = input.batch;
    const rows = fixed ?? count;
    const size = 3 * imageHeight * imageWidth;
    const padded = pixels.length === rows * size ? pixels : pad(pixels.subarray(0, count * size), rows * size);
    const feeds: Record<string, SentTensor> = {
      [this.pixels]: { storage: 'float32', shape: [rows, 3, imageHeight, imageWidth], data: padded },
    };
    this.maps.forEach((map, index) => {
      feeds[mapValues(map).scale] = { storage: 'float32', shape: [], data: Float32Array.of(scales[index]!) };
    });
    const outputs = await this.session.run(feeds).catch((error: unknown) => {
      throw cannotRun(this.backbone, error);
    });
    const { tokens, width } = this.backbone.structure;
    const floats = (name: string, each: number) => (outputs[name]!.data as Float32Array).subarray(0, count * each);
    return {
      maps: this.maps.map((map): TappedMap => {
        const names = mapValues(map);
        const tapped = {
          map: (outputs[names.map]!.data as Uint16Array).subarray(0, count * tokens * width),
          rowSums: floats(names.rowSums, tokens),
          rowSquareSums: floats(names.rowSquareSums, tokens),
        };
        const codes = outputs[names.codes];
        if (!codes) return tapped;
        const rowSteps = (outputs[names.rowSteps]!.data as Uint16Array).subarray(0, count * tokens);
        return {
          ...tapped,
          eightBit: { codes: (codes.data as Int8Array).subarray(0, count * tokens * width), rowSteps },
        };
      }),
      baseCls: outputs.base_cls ? floats('base_cls', width) : undefined,
      baseMean: floats('base_mean', width),
    };
  }

  /**
   * As `run`, and again with larger scales as long as a map's values exceed `headroom`.
   * @returns the batch with the scales that it was run with at last; `scales` itself where they did
   * @throws Failure `non-finite`
   */
  async runFitting(
    pixels: Float32Array,
    count: number,
    scales: readonly number[],
    headroom: number,
  ): Promise<{ batch: TappedBatch; scales: readonly number[] }> {
    for (let fitting = scales; ;) {
      const batch = await this.run(pixels, count, fitting);
      const raised = raiseScales(batch, fitting, this.maps, headroom);
      if (!raised) return { batch, scales: fitting };
      fitting = raised;
    }
  }

  /** Seconds in which the ViT had nothing to do, from when it was open to its last batch. */
  get idleSeconds(): number {
    return this.thread.idleMs / 1000;
  }

  async close(): Promise<void> {
    await this.thread.close();
  }
}

function pad(values: Float32Array, length: number): Float32Array {
  const padded = new Float32Array(length);
  padded.set(values);
  return padded;
}

function cannotRun({ name }: Backbone, error: unknown): Failure {
  const words = error instanceof Error ? error.message : String(error);
  const line = words.split('\n', 1)[0]!.trim().replace(/\.$/, '');
  return new Failure(
    'backbone',
    `onnxruntime cannot run backbone ${name} (${line}): export it again, as float32 with opset 17, and add it under another name.`,
    { cause: error },
  );
}
