/** What a run's side network looks at in one picture. */
import { Failure } from '../../base/failure.ts';
import { mapName } from '../../backbone/surgery.ts';
import type { Decoder } from '../../data/decode/decoder.ts';
import { pathOfImage, type ImageReference } from '../../data/image-reference.ts';
import { openEngine } from '../../engine/open-engine.ts';
import type { Buffers, Executable } from '../../engine/program.ts';
import { roundingOf } from '../../features/feature-set.ts';
import { openVit, type Vit } from '../../features/open-vit.ts';
import { LARGEST_HALF } from '../../features/map-scales.ts';
import { normalizePixels } from '../../features/pixels.ts';
import type { Network, Pool } from '../../methods/network.ts';
import { attentionProgram } from '../../training/attention-program.ts';
import { softmax } from '../../training/metrics.ts';
import type { OpenedRun } from '../../training/open-run.ts';

/** Shares of attention over the tokens of a picture: prefix tokens together, and each patch, row by row; they sum to 1. */
export interface TokenShares {
  prefix: number;
  patches: number[];
}

/** One LSA module. `shares` is the attention that the tokens receive from what is pooled; see `AttentionMaps`. */
export interface ModuleAttention extends TokenShares {
  /** From 0. */
  module: number;
  /** The map that it works on, such as `P1_3` or `S_8`, and the last block of the ViT in it. */
  map: string;
  block: number;
  /** Euclidean norm of what it adds to the pooled features. */
  increment: number;
}

export interface Attention {
  run: string;
  /** Path of the picture, or of the packed file and its row. */
  image: string;
  pool: Pool;
  /** Patches of the picture, down and across. */
  grid: { rows: number; columns: number };
  modules: ModuleAttention[];
  /** Through all modules, residuals counted: attention rollout. */
  rollout: TokenShares;
  /** Probability of each class. */
  probabilities: number[];
}

/** A picture as the ViT sees it, resized and cropped: RGB, height * width * 3 bytes, row-major. */
export interface SeenPicture {
  width: number;
  height: number;
  rgb: Uint8Array;
}

/** A run's ViT and side network, open to look at one picture after the other. */
export class AttentionViewer {
  private scales: readonly number[];
  private looking: Executable | undefined;

  private constructor(
    private readonly run: OpenedRun,
    private readonly vit: Vit,
    private readonly threads: number,
  ) {
    this.scales = run.config.scales;
  }

  /** @throws Failure `no-modules` for a linear probe, and those of `openVit` */
  static async open(run: OpenedRun, threads: number): Promise<AttentionViewer> {
    if (!run.network.attention)
      throw new Failure(
        'no-modules',
        `Run ${run.config.run} is a linear probe: it has no modules whose attention could be shown.`,
      );
    const storage = roundingOf(run.config.settings.cache);
    const wanted = { threads, storage, batch: 1, base: run.network.usesBase };
    const vit = await openVit(run.backbone, run.network.maps, wanted);
    return new AttentionViewer(run, vit, threads);
  }

  /** @throws Failure `image` where it cannot be read, `non-finite` */
  async look(decoder: Decoder, image: ImageReference): Promise<{ attention: Attention; seen: SeenPicture }> {
    const { config, backbone, network, frozen } = this.run;
    const { preprocessing, structure } = backbone;
    const { width, height } = preprocessing;
    const rgb = await decoder.decode(image, preprocessing);
    const pixels = new Float32Array(3 * width * height);
    normalizePixels(rgb, preprocessing, pixels, 0);
    const outputs = await this.outputsOf(pixels);
    const { tokens, prefix } = frozen.layout;
    const received = outputs.received as Float32Array;
    const increments = outputs.increments as Float32Array;
    const depth = network.modules / network.maps.length;
    const attention: Attention = {
      run: config.run,
      image: pathOfImage(image),
      pool: config.settings.pool,
      grid: {
        rows: Math.floor(structure.imageHeight / structure.patchSize),
        columns: Math.floor(structure.imageWidth / structure.patchSize),
      },
      modules: Array.from({ length: network.modules }, (_, module): ModuleAttention => {
        const map = network.maps[Math.floor(module / depth)]!;
        return {
          module,
          map: mapName(map),
          block: lastBlockOf(map),
          increment: increments[module]!,
          ...sharesOf(received.subarray(module * tokens, (module + 1) * tokens), prefix),
        };
      }),
      rollout: sharesOf(outputs.rollout as Float32Array, prefix),
      probabilities: [...softmax(outputs.logits as Float32Array)],
    };
    return { attention, seen: { width, height, rgb } };
  }

  async close(): Promise<void> {
    await this.looking?.dispose();
    await this.vit.close();
  }

  private async outputsOf(pixels: Float32Array): Promise<Buffers> {
    const { batch, scales } = await this.vit.runFitting(pixels, 1, this.scales, LARGEST_HALF);
    if (scales !== this.scales) {
      this.scales = scales;
      await this.looking?.dispose();
      this.looking = undefined;
    }
    this.looking ??= await this.compile();
    const feeds: Buffers = { parameters: this.run.parameters };
    batch.maps.forEach(({ map }, index) => (feeds[`map_${index}`] = map));
    if (this.run.network.usesBase)
      feeds.base = this.run.config.settings.pool === 'cls' ? batch.baseCls! : batch.baseMean;
    return this.looking.run(feeds);
  }

  private async compile(): Promise<Executable> {
    const { network, layout, frozen } = this.run;
    const shape = { batch: 1, layout: frozen.layout, scales: this.scales, rowSums: false, dropPath: false };
    const engine = await openEngine('compiled', this.threads);
    return engine.compile(attentionProgram(network, layout, shape)!);
  }
}

function lastBlockOf(map: Network['maps'][number]): number {
  return map.kind === 'P' ? map.group * map.index : map.index;
}

function sharesOf(shares: Float32Array, prefix: number): TokenShares {
  return {
    prefix: shares.subarray(0, prefix).reduce((sum, share) => sum + share, 0),
    patches: [...shares.subarray(prefix)],
  };
}
