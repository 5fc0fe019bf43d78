import { Failure } from '../base/failure.ts';
import { readModel, type Backbone } from '../backbone/catalogue.ts';
import { addTaps, FLOAT_PIXELS, mapValues, withFloatPixels } from '../backbone/surgery.ts';
import type { MapRequest, MapStorage } from '../backbone/surgery.ts';
import { DataType, encodeModel } from '../engine/onnx/model.ts';
import type { ValueInfoProto } from '../engine/onnx/onnx_pb.ts';
import { sizeOf } from '../engine/program.ts';
import type { SentTensor } from '../engine/session-messages.ts';
import { SessionThread, type ThreadSession } from '../engine/session-thread.ts';
import type { TappedBatch, TappedMap } from './tapped-batch.ts';
import { raiseScales } from './map-scales.ts';
import { SpareBuffers } from './spare-buffers.ts';

const FLOAT: number = DataType.FLOAT;

/** An output of the tapped ViT, without its batch dimension. */
interface Output {
  name: string;
  shape: readonly number[];
  storage: 'float32' | 'float16' | 'int8';
}

/** The frozen ViT with the outputs that a method needs, run by onnxruntime on a thread of its own. */
export class FrozenVit {
  /** Images that go through together. */
  readonly batch: number;
  private readonly spare = new SpareBuffers();
  /** The memory of batches that may be given back. */
  private readonly given = new WeakMap<TappedBatch, Record<string, SentTensor>>();

  private constructor(
    private readonly backbone: Backbone,
    private readonly maps: readonly MapRequest[],
    private readonly thread: SessionThread,
    private readonly session: ThreadSession,
    private readonly pixels: string,
    private readonly outputs: readonly Output[],
    batch: number,
    private readonly filled: boolean,
  ) {
    this.batch = batch;
  }

  /**
   * @param options.filled whether a batch that is not full is run as if it were: onnxruntime may round otherwise for
   * another number of images, and what is kept of an image must not hang on those beside it
   * @throws Failure `backbone` when onnxruntime cannot open the model.
   */
  static async open(
    backbone: Backbone,
    maps: readonly MapRequest[],
    options: { threads: number; storage?: MapStorage; batch?: number; filled?: boolean },
  ): Promise<FrozenVit> {
    const { threads, storage = 'fp16', batch = 8, filled = false } = options;
    const { structure } = backbone;
    const { input } = structure;
    const tapped = addTaps(await readModel(backbone), structure, { maps, storage, base: true });
    const isFloat = input.dataType === FLOAT;
    const model = isFloat ? tapped : withFloatPixels(tapped, structure);
    const pixels = isFloat ? input.name : FLOAT_PIXELS;
    const thread = new SessionThread();
    try {
      const session = await thread.open(encodeModel(model), threads);
      const outputs = (model.graph?.output ?? []).map(outputOf);
      return new FrozenVit(backbone, maps, thread, session, pixels, outputs, input.batch ?? batch, filled);
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
    const { batch, lent } = await this.runLent(this.lend(pixels, count), count, scales);
    this.spare.give(lent.data.buffer as ArrayBuffer);
    return batch;
  }

  /** The pixels as a tensor that may go over to the other thread, filled up where the batch is fixed or to be full. */
  private lend(pixels: Float32Array, count: number): SentTensor {
    const { input, imageHeight, imageWidth } = this.backbone.structure;
    const shape = [input.batch ?? (this.filled ? this.batch : count), 3, imageHeight, imageWidth];
    const data = new Float32Array(this.spare.take(sizeOf(shape) * Float32Array.BYTES_PER_ELEMENT));
    const used = count * 3 * imageHeight * imageWidth;
    data.set(pixels.length === used ? pixels : pixels.subarray(0, used));
    data.fill(0, used);
    return { storage: 'float32', shape, data };
  }

  private async runLent(
    pixels: SentTensor,
    count: number,
    scales: readonly number[],
  ): Promise<{ batch: TappedBatch; lent: SentTensor }> {
    const feeds: Record<string, SentTensor> = {};
    this.maps.forEach((map, index) => {
      feeds[mapValues(map).scale] = { storage: 'float32', shape: [], data: Float32Array.of(scales[index]!) };
    });
    const rows = pixels.shape[0]!;
    const room = Object.fromEntries(this.outputs.map((output) => [output.name, this.takeRoom(output, rows)]));
    const { outputs, lentFeeds } = await this.session
      .runLent(feeds, { feeds: { [this.pixels]: pixels }, outputs: room })
      .catch((error: unknown) => {
        throw cannotRun(this.backbone, error);
      });
    const batch = this.batchOf(outputs, count);
    this.given.set(batch, outputs);
    return { batch, lent: lentFeeds[this.pixels]! };
  }

  private takeRoom({ shape, storage }: Output, rows: number): SentTensor {
    const size = rows * sizeOf(shape);
    const holds = { float32: Float32Array, float16: Uint16Array, int8: Int8Array }[storage];
    return {
      storage,
      shape: [rows, ...shape],
      data: new holds(this.spare.take(size * holds.BYTES_PER_ELEMENT)),
    };
  }

  /** Gives a batch's memory to one that comes later: nothing may read it any more. */
  reuse(batch: TappedBatch): void {
    const outputs = this.given.get(batch) ?? {};
    this.given.delete(batch);
    for (const { data } of Object.values(outputs)) this.spare.give(data.buffer as ArrayBuffer);
  }

  private batchOf(outputs: Record<string, SentTensor>, count: number): TappedBatch {
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
    let lent = this.lend(pixels, count);
    for (let fitting = scales; ;) {
      const run = await this.runLent(lent, count, fitting);
      ({ lent } = run);
      const raised = raiseScales(run.batch, fitting, this.maps, headroom);
      if (!raised) {
        this.spare.give(lent.data.buffer as ArrayBuffer);
        return { batch: run.batch, scales: fitting };
      }
      this.reuse(run.batch);
      fitting = raised;
    }
  }

  /** Seconds in which the ViT had nothing to do, from when it was open to its last batch. */
  get idleSeconds(): number {
    return this.thread.idleMs / 1000;
  }

  /** Peak resident memory of the process that holds the ViT, bytes. */
  peakRssBytes(): Promise<number> {
    return this.thread.peakRssBytes();
  }

  async close(): Promise<void> {
    await this.thread.close();
  }
}

function outputOf({ name, type }: ValueInfoProto): Output {
  const tensor = type?.value.case === 'tensorType' ? type.value.value : undefined;
  const shape = (tensor?.shape?.dim ?? []).slice(1).map(({ value }) => Number(value.value));
  const storages: Record<number, Output['storage']> = {
    [DataType.FLOAT]: 'float32',
    [DataType.FLOAT16]: 'float16',
    [DataType.INT8]: 'int8',
  };
  return { name, shape, storage: storages[tensor!.elemType]! };
}

function cannotRun({ name }: Backbone, error: unknown): Failure {
  if (error instanceof Failure) return error;
  const words = error instanceof Error ? error.message : String(error);
  const line = words.split('\n', 1)[0]!.trim().replace(/\.$/, '');
  return new Failure(
    'backbone',
    `onnxruntime cannot run backbone ${name} (${line}): export it again, as float32 with opset 17, and add it under another name.`,
    { cause: error },
  );
}
