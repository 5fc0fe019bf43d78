/** A frozen ViT that is on a server: images up, features down. */
import { Failure } from '../base/failure.ts';
import type { Backbone } from '../backbone/catalogue.ts';
import { mapName, type MapRequest, type MapStorage } from '../backbone/surgery.ts';
import { LateDecoder } from '../data/decode/late-decoder.ts';
import { readContent } from '../data/image-content.ts';
import type { ImageReference } from '../data/image-reference.ts';
import { floatsToHalves, fromHalf } from '../engine/half.ts';
import { OipClient, type RetryOptions, type Transfer } from '../oip/client.ts';
import { CLS, gatheredName, IMAGE, MEAN, namesOf, PIXELS, scaleName } from '../oip/outputs.ts';
import { modelAddress } from '../oip/served-at.ts';
import { bytesOf, floatsOf, halvesOf, joinBytes, type WireTensor } from '../oip/tensors.ts';
import { restoreRows } from './eight-bit.ts';
import { LARGEST_HALF, raiseScales } from './map-scales.ts';
import { normalizePixels } from './pixels.ts';
import { RowSums } from './row-sums.ts';
import type { TappedBatch, TappedMap } from './tapped-batch.ts';

/** What was fetched in all, bytes and seconds. */
export interface TransferSum extends Transfer {
  images: number;
}

export interface ServedVitOptions {
  maps: readonly MapRequest[];
  storage: MapStorage;
  /** Whether the base vectors are wanted. */
  base: boolean;
  /** Images that a request has at most. */
  batch?: number;
  retry: RetryOptions;
}

/** Images that a request has, unless the server takes another number. */
const BATCH = 8;

export class ServedVit {
  readonly batch: number;
  /** By map: what the server divides by. */
  readonly scales: readonly number[];
  readonly transferred: TransferSum = { images: 0, up: 0, down: 0, seconds: { server: 0, network: 0 } };
  private readonly decoder = new LateDecoder();

  private constructor(
    private readonly backbone: Backbone,
    private readonly options: ServedVitOptions,
    private readonly client: OipClient,
    private readonly model: string,
    private readonly sums: RowSums,
    private readonly fixedBatch: number | undefined,
  ) {
    this.batch = fixedBatch ?? options.batch ?? BATCH;
    this.scales = servedScales(backbone, options.maps);
  }

  /**
   * Asks the server whether it still is what was taken into the workspace.
   * @throws Failure `not-served` for maps that it does not give, `backbone-changed`, and those of `OipClient`
   */
  static async open(backbone: Backbone, options: ServedVitOptions): Promise<ServedVit> {
    servedScales(backbone, options.maps);
    const { server, model } = modelAddress(backbone.source);
    const client = await OipClient.open(server, backbone.served);
    try {
      const card = await client.card(model, options.retry);
      if (card && card.sha256 !== backbone.sha256)
        throw new Failure(
          'backbone-changed',
          `The model at ${backbone.source} is no longer the one that was taken in as backbone "${backbone.name}": serve the old one there, or remove the entry with "sidetune backbones remove ${backbone.name}".`,
        );
      const metadata = await client.metadata(model, options.retry);
      const fixed = metadata.inputs.find(({ name }) => name === PIXELS)?.shape[0];
      const sums = await RowSums.open(backbone.structure);
      return new ServedVit(
        backbone,
        options,
        client,
        model,
        sums,
        fixed !== undefined && fixed > 0 ? fixed : undefined,
      );
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /**
   * The features of at most `batch` images, which are sent as they are stored where that is less and the server takes
   * it, else as pixels.
   * @throws Failure of the decoder, naming the image, and those of `OipClient`; `overflow`
   */
  async tap(images: readonly ImageReference[]): Promise<TappedBatch> {
    const encoded = await this.encoded(images);
    if (encoded) {
      try {
        return await this.fetch(`${this.model}-image`, imagesTensor(encoded), images.length);
      } catch (error) {
        // One that cannot be decoded there cannot be here either, and here it has a name.
        if (!(error instanceof Failure) || error.code !== 'refused') throw error;
      }
    }
    const { preprocessing } = this.backbone;
    const size = 3 * preprocessing.width * preprocessing.height;
    const pixels = new Float32Array(images.length * size);
    await Promise.all(
      images.map(async (image, index) => {
        normalizePixels(await this.decoder.decode(image, preprocessing), preprocessing, pixels, index * size);
      }),
    );
    return this.tapPixels(pixels, images.length);
  }

  /** @param pixels [count, 3, height, width], normalised */
  async tapPixels(pixels: Float32Array, count: number): Promise<TappedBatch> {
    const { width, height } = this.backbone.preprocessing;
    const rows = this.fixedBatch ?? count;
    const size = 3 * width * height;
    let sent = pixels.subarray(0, count * size);
    if (rows !== count) {
      sent = new Float32Array(rows * size);
      sent.set(pixels.subarray(0, count * size));
    }
    return this.fetch(
      this.model,
      { name: PIXELS, datatype: 'FP32', shape: [rows, 3, height, width], data: bytesOf(sent) },
      count,
    );
  }

  /** As `FrozenVit.runFitting`: the scales are the server's. */
  async runFitting(
    pixels: Float32Array,
    count: number,
    scales: readonly number[],
  ): Promise<{ batch: TappedBatch; scales: readonly number[] }> {
    const batch = await this.tapPixels(pixels, count);
    return { batch, scales: this.scales.every((scale, index) => scale === scales[index]) ? scales : this.scales };
  }

  async close(): Promise<void> {
    this.client.close();
    await this.sums.close();
    await this.decoder.close();
  }

  /** The images as they are stored; undefined where they had better be sent as pixels. */
  private async encoded(images: readonly ImageReference[]): Promise<Uint8Array[] | undefined> {
    if (!this.backbone.served!.takesImages) return undefined;
    const { width, height } = this.backbone.preprocessing;
    const contents = await Promise.all(images.map(readContent));
    const encoded = contents.flatMap((content) => ('encoded' in content ? [content.encoded] : []));
    const bytes = encoded.reduce((sum, { byteLength }) => sum + byteLength, 0);
    return encoded.length === images.length && bytes < images.length * 12 * width * height ? encoded : undefined;
  }

  private async fetch(model: string, input: WireTensor, count: number): Promise<TappedBatch> {
    const { maps, storage, base, retry } = this.options;
    const { prefix, width } = this.backbone.structure;
    const rows = base ? [...(prefix > 0 ? [CLS] : []), MEAN] : [];
    const names = [...maps.flatMap((map) => namesOf(blockOf(map, this.backbone), storage)), ...rows];
    const { outputs, transfer } = await this.client.infer(model, [input], names, retry).catch((error: unknown) => {
      throw error instanceof Failure && error.code === 'overflow' ? this.overflow(error) : error;
    });
    this.count(transfer, count);
    const take = (name: string, datatype: WireTensor['datatype']): WireTensor => {
      const tensor = outputs.get(name)!;
      const [given = 0] = tensor.shape;
      if (tensor.datatype !== datatype || given < count)
        throw new Failure(
          'server',
          `The server at ${this.client.server} gave ${name} as ${tensor.datatype} of ${given} images, not as ${datatype} of ${count}: see that it serves the right model.`,
        );
      return { ...tensor, data: tensor.data.subarray(0, (tensor.data.byteLength / given) * count) };
    };
    const tapped: TappedMap[] = [];
    for (const [index, map] of maps.entries())
      tapped.push(await this.tappedMap(blockOf(map, this.backbone), this.scales[index]!, take));
    const vector = (name: string) => floatsOf(take(name, 'FP32'));
    const batch: TappedBatch = {
      maps: tapped,
      baseCls: base && prefix > 0 ? vector(CLS) : undefined,
      baseMean: base ? vector(MEAN) : new Float32Array(count * width),
    };
    if (raiseScales(batch, this.scales, maps, LARGEST_HALF)) throw this.overflow();
    return batch;
  }

  /** S_k as the cache keeps it: what the server has rounded, to the bit. */
  private async tappedMap(
    k: number,
    scale: number,
    take: (name: string, datatype: WireTensor['datatype']) => WireTensor,
  ): Promise<TappedMap> {
    if (this.options.storage === 'fp16') {
      const map = halvesOf(take(gatheredName(k, 'fp16'), 'FP16'));
      return { map, ...(await this.sums.of(map, scale)) };
    }
    const { data } = take(gatheredName(k, 'int8'), 'INT8');
    const codes = new Int8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
    const steps = floatsOf(take(scaleName(k), 'FP32')).map((value) => value / scale);
    const rowSteps = floatsToHalves(steps);
    // A server that rounds its steps otherwise gives codes of other numbers.
    if (steps.some((step, row) => fromHalf(rowSteps[row]!) !== step))
      throw new Failure(
        'server',
        `The server at ${this.client.server} gives ${scaleName(k)} with more bits than the cache keeps: use --cache fp16.`,
      );
    const map = new Uint16Array(codes.length);
    restoreRows(codes, rowSteps, map);
    return { map, eightBit: { codes, rowSteps }, ...(await this.sums.of(map, scale)) };
  }

  private count({ up, down, seconds }: Transfer, images: number): void {
    const sum = this.transferred;
    sum.images += images;
    sum.up += up;
    sum.down += down;
    sum.seconds.server += seconds.server;
    sum.seconds.network += seconds.network;
  }

  private overflow(cause?: Failure): Failure {
    return new Failure(
      'overflow',
      `Features from ${this.backbone.source} do not fit half precision with the scale that the server divides them by: use --upto with a smaller block.`,
      { cause },
    );
  }
}

function imagesTensor(encoded: readonly Uint8Array[]): WireTensor {
  return { name: IMAGE, datatype: 'BYTES', shape: [encoded.length], data: joinBytes(encoded) };
}

/** By map: what the server divides by. @throws Failure `not-served` */
export function servedScales(backbone: Backbone, maps: readonly MapRequest[]): number[] {
  return maps.map((map) => backbone.served!.scales[String(blockOf(map, backbone))]!);
}

/** The block that a map sums up to. @throws Failure `not-served` where the server does not give it */
function blockOf(map: MapRequest, { name, served }: Backbone): number {
  const offered = Object.keys(served!.scales);
  const summed = map.kind === 'S' || map.group === 1;
  if (summed && offered.includes(String(map.index))) return map.index;
  throw new Failure(
    'not-served',
    `The server of backbone "${name}" gives the sums up to blocks ${offered.join(', ')} and not ${mapName(map)}: choose one of them with --upto, or have it served with another --upto.`,
  );
}
