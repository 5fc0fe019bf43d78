/** Single pictures classified by a run that is kept ready between them: for trying it out, a camera's frames too. */
import { Failure } from '../base/failure.ts';
import { fileStamp } from '../base/file-stamp.ts';
import { LateDecoder } from '../data/decode/late-decoder.ts';
import { normalizePixels } from '../features/pixels.ts';
import { openRun } from '../training/open-run.ts';
import { runFile } from '../training/run-folder.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { Classifier } from './classifier.ts';
import { KeptOpen } from './kept-open.ts';
import { guessesOf, type Guesses } from './predict.ts';
import { usualThreads } from './preferences.ts';

/** A picture that somebody shows: encoded as whatever the decoder reads. */
export interface ShownPicture {
  /** What a complaint calls it. */
  name: string;
  bytes: Uint8Array;
}

/** Seconds spent on the picture in each part. */
export type TriedPicture = Guesses & { seconds: { decode: number; vit: number; adaptor: number } };

export interface TryOutOptions {
  /** After so long without a picture, memory and processes are given back. */
  idleMs?: number;
}

/** A run opened for single pictures. */
interface Ready {
  classes: readonly string[];
  preprocessing: Parameters<typeof normalizePixels>[1];
  classifier: Classifier;
  decoder: LateDecoder;
  close(): Promise<void>;
}

export class TryOut {
  private readonly kept: KeptOpen<Ready>;
  private closed = false;

  constructor(
    private readonly workspace: Workspace,
    { idleMs }: TryOutOptions = {},
  ) {
    this.kept = new KeptOpen(idleMs);
  }

  /** Whether a run is kept ready at the moment. */
  get warm(): boolean {
    return this.kept.warm;
  }

  /**
   * What a run takes a picture for, with its best parameters so far. Pictures wait for each other.
   * @throws Failure `image` for one that cannot be read, `closed`, and those of `openRun`
   */
  async classify(run: string, picture: ShownPicture): Promise<TriedPicture> {
    // A run that has found better parameters since is another key.
    const stamp = await fileStamp(runFile(this.workspace, run, 'best'));
    return this.kept.use(
      `${run} ${stamp}`,
      () => this.open(run),
      (ready) => this.answer(ready, picture),
      // Whatever else went wrong, the next picture starts afresh.
      (error) => error instanceof Failure && error.code === 'image',
    );
  }

  /** Ends what is kept ready; nothing is answered afterwards. */
  async close(): Promise<void> {
    this.closed = true;
    await this.kept.close();
  }

  private async answer(ready: Ready, { name, bytes }: ShownPicture): Promise<TriedPicture> {
    const { classifier, decoder, classes, preprocessing } = ready;
    const started = performance.now();
    const rgb = await decoder.decode({ path: name, encoded: bytes }, preprocessing);
    const pixels = new Float32Array(rgb.length);
    normalizePixels(rgb, preprocessing, pixels, 0);
    const decode = (performance.now() - started) / 1000;
    const before = { ...classifier.seconds };
    const [outcome] = await classifier.classify(pixels, 1);
    if (typeof outcome === 'string') throw new Failure('image', outcome);
    const { vit, adaptor } = classifier.seconds;
    const seconds = { decode, vit: vit - before.vit, adaptor: adaptor - before.adaptor };
    return { ...guessesOf(outcome!, classes), seconds };
  }

  private async open(run: string): Promise<Ready> {
    if (this.closed) throw new Failure('closed', 'The studio is being closed.');
    const opened = await openRun(this.workspace, run);
    const classifier = await Classifier.open(opened, await usualThreads(this.workspace), { batch: 1 });
    const decoder = new LateDecoder();
    const close = async () => {
      await classifier.close();
      await decoder.close();
    };
    return { classes: opened.config.classes, preprocessing: opened.backbone.preprocessing, classifier, decoder, close };
  }
}
