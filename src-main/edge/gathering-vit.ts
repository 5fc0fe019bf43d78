/** A frozen ViT at work for a server: run to the deepest block that is asked for, in the forms that are asked for. */
import { Failure } from '../base/failure.ts';
import { readModel, type Backbone } from '../backbone/catalogue.ts';
import { encodeModel } from '../engine/onnx/model.ts';
import type { SentTensor } from '../engine/session-messages.ts';
import { SessionThread, type ThreadSession } from '../engine/session-thread.ts';
import { HEADROOM } from '../features/map-scales.ts';
import { gatheredName, outputSpecs, PIXELS, scaleName, type OutputSpec } from '../oip/outputs.ts';
import { depthModel, FORM, formModel } from './served-graph.ts';

/** By output: [images, ...] in the storage of its datatype. */
export type Gathered = Map<string, SentTensor['data']>;

export class GatheringVit {
  private readonly depths = new Map<number, Promise<ThreadSession>>();
  private readonly forms = new Map<'fp16' | 'int8', Promise<ThreadSession>>();
  private readonly fitting = new Map<number, number>();
  readonly outputs: ReadonlyMap<string, OutputSpec>;

  private constructor(
    readonly backbone: Backbone,
    readonly upto: readonly number[],
    private readonly thread: SessionThread,
    private readonly threads: number,
  ) {
    this.outputs = new Map(outputSpecs(backbone.structure, upto).map((spec) => [spec.name, spec]));
  }

  /**
   * Opens the ViT to the last of the blocks that sums go up to and finds their scales.
   * @param upto indices of blocks, ascending
   * @throws Failure `usage` for a block that the ViT has not, `backbone` when onnxruntime cannot run it
   */
  static async open(
    backbone: Backbone,
    { upto, threads }: { upto: readonly number[]; threads: number },
  ): Promise<GatheringVit> {
    const { blocks } = backbone.structure;
    const beyond = upto.find((k) => k < 1 || k > blocks);
    if (beyond !== undefined)
      throw new Failure(
        'usage',
        `--upto ${beyond} is not a block of backbone ${backbone.name}: they are counted from 1 to ${blocks}.`,
      );
    const vit = new GatheringVit(backbone, upto, new SessionThread(), threads);
    try {
      await vit.findScales();
      return vit;
    } catch (error) {
      await vit.close();
      throw error;
    }
  }

  /** By k: the power of two by which `gathered_k_fp16` is divided. */
  get scales(): ReadonlyMap<number, number> {
    return this.fitting;
  }

  /** The deepest block that these outputs need. */
  depthOf(names: Iterable<string>): number {
    return Math.max(...Array.from(names, (name) => this.outputs.get(name)!.upto ?? this.backbone.structure.blocks));
  }

  /**
   * Runs images through.
   * @param pixels [count, 3, height, width], normalised
   * @param names outputs, at least one
   */
  async run(pixels: Float32Array, count: number, names: ReadonlySet<string>): Promise<Gathered> {
    const sums = await this.runTo(this.depthOf(names), pixels, count);
    const found: Gathered = new Map();
    for (const k of this.upto) {
      const sum = sums.get(gatheredName(k, 'fp32'));
      if (!sum) continue;
      if (names.has(gatheredName(k, 'fp16'))) {
        const { [FORM.halves]: halves } = await this.form('fp16', k, sum, count);
        found.set(gatheredName(k, 'fp16'), halves!.data);
      }
      if (names.has(gatheredName(k, 'int8')) || names.has(scaleName(k))) {
        const { [FORM.codes]: codes, [FORM.scales]: scales } = await this.form('int8', k, sum, count);
        found.set(gatheredName(k, 'int8'), codes!.data).set(scaleName(k), scales!.data);
      }
    }
    for (const name of names) if (sums.has(name)) found.set(name, sums.get(name)!);
    return found;
  }

  async close(): Promise<void> {
    await this.thread.close();
  }

  /** Sums and rows in float32, of `count` images. A fixed batch is filled up with what is then left out. */
  private async runTo(depth: number, pixels: Float32Array, count: number): Promise<Map<string, Float32Array>> {
    const { input, imageHeight, imageWidth } = this.backbone.structure;
    const session = await this.openTo(depth);
    const size = 3 * imageHeight * imageWidth;
    const step = input.batch ?? count;
    const parts: Record<string, SentTensor>[] = [];
    for (let first = 0; first < count; first += step) {
      const data = new Float32Array(step * size);
      data.set(pixels.subarray(first * size, Math.min(count, first + step) * size));
      const shape = [step, 3, imageHeight, imageWidth];
      parts.push(await session.run({ [PIXELS]: { storage: 'float32', shape, data } }));
    }
    const sums = new Map<string, Float32Array>();
    for (const name of Object.keys(parts[0] ?? {})) {
      const all = parts.map((part) => part[name]!.data as Float32Array);
      const each = all[0]!.length / step;
      if (all.length === 1) sums.set(name, all[0]!.subarray(0, count * each));
      else {
        const whole = new Float32Array(parts.length * step * each);
        all.forEach((part, index) => whole.set(part, index * step * each));
        sums.set(name, whole.subarray(0, count * each));
      }
    }
    return sums;
  }

  private async form(form: 'fp16' | 'int8', k: number, sum: Float32Array, count: number) {
    const { tokens, width } = this.backbone.structure;
    let session = this.forms.get(form);
    if (!session) {
      session = this.thread.open(encodeModel(formModel(this.backbone.structure, form)), this.threads);
      this.forms.set(form, session);
    }
    const scale = Float32Array.of(this.fitting.get(k) ?? 1);
    return (await session).run({
      [FORM.map]: { storage: 'float32', shape: [count, tokens, width], data: sum },
      [FORM.scale]: { storage: 'float32', shape: [], data: scale },
    });
  }

  /** A session for each depth that has been asked for: one graph runs whole, whatever of it is fetched. */
  private openTo(depth: number): Promise<ThreadSession> {
    let session = this.depths.get(depth);
    if (!session) {
      session = this.open(depth);
      this.depths.set(depth, session);
      // One that could not be opened may be tried again.
      session.catch(() => this.depths.delete(depth));
    }
    return session;
  }

  private async open(depth: number): Promise<ThreadSession> {
    const { backbone, upto } = this;
    const model = depthModel(await readModel(backbone), backbone.structure, { upto, depth });
    return this.thread.open(encodeModel(model), this.threads).catch((error: unknown) => {
      const words = error instanceof Error ? error.message.split('\n', 1)[0] : String(error);
      throw new Failure('backbone', `onnxruntime cannot run backbone ${backbone.name} (${words}): export it again.`, {
        cause: error,
      });
    });
  }

  /** By pictures that are as unlike as can be: those that come will not differ from them by more than the headroom. */
  private async findScales(): Promise<void> {
    const pixels = testPictures(this.backbone);
    const count = TEST_PICTURES;
    const sums = await this.runTo(this.upto.at(-1) ?? this.backbone.structure.blocks, pixels, count);
    for (const k of this.upto) {
      let largest = 0;
      for (const value of sums.get(gatheredName(k, 'fp32'))!) {
        if (!Number.isFinite(value))
          throw new Failure('non-finite', `The sums of backbone ${this.backbone.name} are not finite: it is damaged.`);
        largest = Math.max(largest, Math.abs(value));
      }
      this.fitting.set(k, 2 ** Math.max(0, Math.ceil(Math.log2(largest / HEADROOM))));
    }
  }
}

const TEST_PICTURES = 4;

/** Black, white, noise over the whole range, and stripes, as a ViT takes them. */
function testPictures({ preprocessing: { mean, std, width, height } }: Backbone): Float32Array {
  const plane = width * height;
  const pixels = new Float32Array(TEST_PICTURES * 3 * plane);
  for (let channel = 0; channel < 3; channel++)
    for (let i = 0; i < plane; i++) {
      const levels = [0, 1, (1 + Math.sin(i * (1 + i))) / 2, Math.floor((i % width) / 16) % 2];
      levels.forEach((level, picture) => {
        pixels[(picture * 3 + channel) * plane + i] = (level - mean[channel]!) / std[channel]!;
      });
    }
  return pixels;
}
