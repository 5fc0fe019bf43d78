/** What can be asked about a run after its evaluation: the figures, the pictures behind them, and what it looks at. */
import { fileStamp } from '../../base/file-stamp.ts';
import { Failure } from '../../base/failure.ts';
import {
  labelledHash,
  locate,
  splitNames,
  type Dataset,
  type DatasetImage,
  type SplitName,
} from '../../data/dataset.ts';
import { loadDataset } from '../../data/dataset-store.ts';
import { LateDecoder } from '../../data/decode/late-decoder.ts';
import { readCheckpointMetadata } from '../../training/checkpoint.ts';
import { findRun } from '../../training/find-run.ts';
import { openRun } from '../../training/open-run.ts';
import { readConfig, runFile } from '../../training/run-folder.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import { datasetAsEdited } from '../datasets/datasets.ts';
import { usualThreads } from '../preferences.ts';
import { KeptOpen } from '../kept-open.ts';
import { AttentionViewer, type Attention } from './attention.ts';
import { encodePng } from './png.ts';
import { readEvaluation, type Evaluation, type KeptEvaluation } from './evaluation.ts';
import { predictedPage, type PredictedPage, type PredictedQuery } from './predicted-images.ts';

/** An evaluation that is kept beside its run. */
export interface ShownEvaluation {
  evaluation: Evaluation;
  /** Whether the run and its dataset are still those that were evaluated. */
  current: boolean;
  /** Whether the pictures behind the figures can be shown. */
  pictures: boolean;
}

export type PictureAttention = Attention & {
  /** The picture as the ViT sees it: a PNG in base64. */
  picture: { width: number; height: number; png: string };
};

interface Placed {
  /** Place in the dataset. */
  index: number;
  image: DatasetImage;
}

/** An open `AttentionViewer` with the decoder that it reads pictures by. */
interface Looking {
  viewer: AttentionViewer;
  decoder: LateDecoder;
  close(): Promise<void>;
}

export class RunAnalysis {
  private readonly looking = new KeptOpen<Looking>();

  /** @param datasets how a dataset is read by its name */
  constructor(
    private readonly workspace: Workspace,
    private readonly datasets: (name: string) => Promise<Dataset> = (name) => loadDataset(workspace, name),
  ) {}

  /**
   * The evaluation that is kept of a run's split: without one named that of test, else val, else train; null where there
   * is none.
   * @throws Failure `no-run`, `ambiguous-run`, `damaged-file`
   */
  async evaluation(named: string, split?: SplitName): Promise<ShownEvaluation | null> {
    const run = await findRun(this.workspace, named);
    for (const each of split ? [split] : splitNames.toReversed()) {
      const kept = await readEvaluation(this.workspace, run, each);
      if (!kept) continue;
      const current = (await this.imagesOf(run, kept)) !== undefined;
      return { evaluation: kept.evaluation, current, pictures: current && kept.outcomes !== null };
    }
    return null;
  }

  /**
   * Images of a split that was evaluated, by what they are and were taken for, the most confident first.
   * @throws Failure `not-evaluated` where the split was not evaluated, or has changed since, or has too many images
   */
  async predicted(named: string, { split, ...query }: PredictedQuery & { split: SplitName }): Promise<PredictedPage> {
    const run = await findRun(this.workspace, named);
    const kept = await readEvaluation(this.workspace, run, split);
    const images = kept && (await this.imagesOf(run, kept));
    if (!kept || !images)
      throw new Failure(
        'not-evaluated',
        `Run ${run} has not been evaluated on ${split} as it is now: evaluate it first.`,
      );
    if (!kept.outcomes)
      throw new Failure('not-evaluated', `The ${split} split is too large for its images to be kept one by one.`);
    return predictedPage(images, kept.outcomes, query);
  }

  /**
   * What a run's side network looks at in a picture of its dataset.
   * @param index place in the dataset
   * @throws Failure `no-image`, `image`, and those of `openRun` and `AttentionViewer.open`
   */
  async attention(named: string, index: number): Promise<PictureAttention> {
    const run = await findRun(this.workspace, named);
    const config = await readConfig(this.workspace, run);
    const dataset = await this.datasets(config.dataset);
    const image = dataset.images[index];
    if (!image) throw new Failure('no-image', `Dataset ${dataset.name} has no image ${index}.`);
    // Better parameters are another file: it is replaced as a whole.
    const stamp = await fileStamp(runFile(this.workspace, run, 'best'));
    return this.looking.use(
      `${run} ${stamp}`,
      () => this.open(run),
      async ({ viewer, decoder }) => {
        const { attention, seen } = await viewer.look(decoder, locate(dataset, image));
        const { width, height, rgb } = seen;
        return { ...attention, picture: { width, height, png: encodePng(rgb, width, height).toString('base64') } };
      },
    );
  }

  close(): Promise<void> {
    return this.looking.close();
  }

  private async open(run: string): Promise<Looking> {
    const viewer = await AttentionViewer.open(await openRun(this.workspace, run), await usualThreads(this.workspace));
    const decoder = new LateDecoder();
    const close = async (): Promise<void> => {
      await viewer.close();
      await decoder.close();
    };
    return { viewer, decoder, close };
  }

  /** The images that were evaluated; undefined where they, or the parameters, are no longer the same. */
  private async imagesOf(run: string, { evaluation, data }: KeptEvaluation): Promise<Placed[] | undefined> {
    try {
      const { dataset: name, datasetEdits = 0, classes } = await readConfig(this.workspace, run);
      const { epoch } = await readCheckpointMetadata(runFile(this.workspace, run, 'best'));
      if (Number(epoch) !== evaluation.epoch) return undefined;
      const dataset = await datasetAsEdited(this.workspace, await this.datasets(name), datasetEdits);
      if (JSON.stringify(dataset.classes) !== JSON.stringify(classes)) return undefined;
      const images = dataset.images
        .map((image, index): Placed => ({ index, image }))
        .filter(({ image }) => image.split === evaluation.split && !image.excluded);
      return labelledHash(images.map(({ image }) => image)) === data ? images : undefined;
    } catch (error) {
      if (error instanceof Failure) return undefined;
      throw error;
    }
  }
}
