import { Failure } from '../base/failure.ts';
import { loadBackbone, type Backbone } from '../backbone/catalogue.ts';
import { mapName, type MapRequest } from '../backbone/surgery.ts';
import { locate } from '../data/dataset.ts';
import type { Decoder } from '../data/decode/decoder.ts';
import { startDecoder } from '../data/decode/start-decoder.ts';
import { checkUnchanged } from '../data/image-file.ts';
import { nameOfImage, type ImageReference } from '../data/image-reference.ts';
import { Workspace } from '../workspace/workspace.ts';
import { allocateFeatures, type FeatureBuffers, type FeatureNeeds, type FeatureSource } from './feature-source.ts';
import type { LiveSet } from './feature-set.ts';
import { FrozenVit } from './frozen-vit.ts';
import { imageBatches } from './image-batches.ts';
import { HEADROOM, LARGEST_HALF, raiseScales } from './map-scales.ts';

/**
 * Features that are kept nowhere: the frozen ViT runs whenever they are read, in the process that reads them, on a
 * thread of its own and beside a decoder. They are rounded as the fp16 cache rounds them, so that with equal scales
 * the numbers are those of the cache. All sources of a process that read the same maps share one ViT.
 */
export class LiveFeatures implements FeatureSource {
  readonly scales: readonly number[];

  private constructor(
    private readonly set: LiveSet,
    private readonly needs: FeatureNeeds,
    private readonly shared: SharedVit,
  ) {
    this.scales = needs.maps.map((map) => set.maps[mapName(map)]!.scale);
  }

  static async open(set: LiveSet, needs: FeatureNeeds): Promise<LiveFeatures> {
    return new LiveFeatures(set, needs, await SharedVit.take(set, needs.maps));
  }

  allocate(batch: number): FeatureBuffers {
    return allocateFeatures(this.set, this.needs, batch);
  }

  async read(rows: ArrayLike<number>, buffers: FeatureBuffers): Promise<void> {
    const { source, files, tokens, width } = this.set;
    const { backbone, decoder, vit } = await this.shared.open;
    const images = Array.from(rows, (row) => files[row]!);
    const read = {
      decoder,
      preprocessing: backbone.preprocessing,
      batch: vit.batch,
      check: (place: number) => checkUnchanged({ source }, images[place]!),
    };
    const references = images.map((image) => locate({ source }, image));
    for await (const { first, count, pixels } of imageBatches(references, read)) {
      const batch = await vit.run(pixels, count, this.scales);
      if (raiseScales(batch, this.scales, this.needs.maps, LARGEST_HALF))
        throw outgrown(references.slice(first, first + count));
      batch.maps.forEach(({ map, rowSums, rowSquareSums }, index) => {
        (buffers[`map_${index}`] as Uint16Array).set(map, first * tokens * width);
        if (!this.needs.rowSums) return;
        buffers[`row_sums_${index}`]!.set(rowSums, first * tokens);
        buffers[`row_square_sums_${index}`]!.set(rowSquareSums, first * tokens);
      });
      if (this.needs.base)
        buffers.base!.set(this.needs.base === 'cls' ? batch.baseCls! : batch.baseMean, first * width);
      vit.reuse(batch);
    }
  }

  async close(): Promise<void> {
    await this.shared.giveBack();
  }
}

/**
 * The scales that a run without a cache keeps from its start: those that the cache would begin with, which leave room
 * for eight times what the first batch of the first list shows.
 * @throws Failure as `FrozenVit.runFitting` and of the images
 */
export async function firstScales(set: LiveSet, maps: readonly MapRequest[]): Promise<readonly number[]> {
  if (maps.length === 0 || set.images === 0) return maps.map(() => 1);
  const shared = await SharedVit.take(set, maps);
  try {
    const { backbone, decoder, vit } = await shared.open;
    const references = set.files.slice(0, vit.batch).map((image) => locate(set, image));
    let scales: readonly number[] = maps.map(() => 1);
    const read = { decoder, preprocessing: backbone.preprocessing, batch: vit.batch };
    for await (const { count, pixels } of imageBatches(references, read))
      ({ scales } = await vit.runFitting(pixels, count, scales, HEADROOM));
    return scales;
  } finally {
    await shared.giveBack();
  }
}

interface OpenVit {
  backbone: Backbone;
  decoder: Decoder;
  vit: FrozenVit;
}

/** A frozen ViT and its decoder, open as long as somebody has taken them. */
class SharedVit {
  private static readonly all = new Map<string, SharedVit>();
  private users = 0;

  private constructor(
    private readonly key: string,
    readonly open: Promise<OpenVit>,
  ) {}

  static async take(set: LiveSet, maps: readonly MapRequest[]): Promise<SharedVit> {
    const key = [set.workspace, set.backbone, set.threads, ...maps.map(mapName)].join('\n');
    let shared = SharedVit.all.get(key);
    if (!shared) {
      shared = new SharedVit(key, openVit(set, maps));
      SharedVit.all.set(key, shared);
    }
    shared.users++;
    try {
      await shared.open;
      return shared;
    } catch (error) {
      SharedVit.all.delete(key);
      throw error;
    }
  }

  async giveBack(): Promise<void> {
    if (--this.users > 0) return;
    SharedVit.all.delete(this.key);
    const { vit, decoder } = await this.open;
    await vit.close();
    await decoder.close();
  }
}

async function openVit({ workspace, backbone: name, threads }: LiveSet, maps: readonly MapRequest[]): Promise<OpenVit> {
  const backbone = await loadBackbone(await Workspace.open(workspace), name);
  const decoder = await startDecoder();
  try {
    return { backbone, decoder, vit: await FrozenVit.open(backbone, maps, { threads, filled: true }) };
  } catch (error) {
    await decoder.close();
    throw error;
  }
}

function outgrown(images: readonly ImageReference[]): Failure {
  const name = nameOfImage(images[0]!);
  const which = images.length === 1 ? name : `one of the ${images.length} pictures from ${name} on`;
  return new Failure(
    'overflow',
    `The features of ${which} are too large for the scales that were fixed when the run began: train with --cache fp16, for which all images are looked at first.`,
  );
}
