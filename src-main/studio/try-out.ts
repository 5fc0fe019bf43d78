/** Single pictures classified by a run that is kept ready between them: for trying it out, a camera's frames too. */
import { stat } from 'node:fs/promises';
import { Failure } from '../base/failure.ts';
import { inTurn } from '../base/in-turn.ts';
import { LateDecoder } from '../data/decode/late-decoder.ts';
import { normalizePixels } from '../features/pixels.ts';
import { openRun } from '../training/open-run.ts';
import { runFile } from '../training/run-folder.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { Classifier } from './classifier.ts';
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

/** A run opened for single pictures, and what it was opened from. */
interface Ready {
  run: string;
  stamp: string;
  classes: readonly string[];
  preprocessing: Parameters<typeof normalizePixels>[1];
  classifier: Classifier;
  decoder: LateDecoder;
}

const IDLE_MS = 60_000;

export class TryOut {
  private readonly oneAtATime = inTurn();
  private ready: Ready | undefined;
  private idle: ReturnType<typeof setTimeout> | undefined;
  private closed = false;

  constructor(
    private readonly workspace: Workspace,
    private readonly options: TryOutOptions = {},
  ) {}

  /** Whether a run is kept ready at the moment. */
  get warm(): boolean {
    return this.ready !== undefined;
  }

  /**
   * What a run takes a picture for, with its best parameters so far. Pictures wait for each other.
   * @throws Failure `image` for one that cannot be read, `closed`, and those of `openRun`
   */
  classify(run: string, picture: ShownPicture): Promise<TriedPicture> {
    return this.oneAtATime(async () => {
      clearTimeout(this.idle);
      try {
        return await this.answer(await this.open(run), picture);
      } catch (error) {
        // Whatever else went wrong, the next picture starts afresh.
        if (!(error instanceof Failure) || error.code !== 'image') await this.release();
        throw error;
      } finally {
        this.idle = setTimeout(() => void this.oneAtATime(() => this.release()), this.options.idleMs ?? IDLE_MS);
        this.idle.unref();
      }
    });
  }

  /** Ends what is kept ready; nothing is answered afterwards. */
  async close(): Promise<void> {
    this.closed = true;
    await this.oneAtATime(() => this.release());
    clearTimeout(this.idle);
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

  /** The run, opened anew where it is another, or has found better parameters since. */
  private async open(run: string): Promise<Ready> {
    if (this.closed) throw new Failure('closed', 'The studio is being closed.');
    const stamp = await stampOf(runFile(this.workspace, run, 'best'));
    if (this.ready?.run === run && this.ready.stamp === stamp) return this.ready;
    await this.release();
    const opened = await openRun(this.workspace, run);
    const classifier = await Classifier.open(opened, await usualThreads(this.workspace), { batch: 1 });
    const { classes } = opened.config;
    const { preprocessing } = opened.backbone;
    this.ready = { run, stamp, classes, preprocessing, classifier, decoder: new LateDecoder() };
    return this.ready;
  }

  private async release(): Promise<void> {
    const { ready } = this;
    this.ready = undefined;
    await ready?.classifier.close();
    await ready?.decoder.close();
  }
}

/** The file is replaced as a whole, by renaming: another one then has its name. */
function stampOf(path: string): Promise<string> {
  return stat(path).then(
    ({ ino, mtimeMs }) => `${ino} ${mtimeMs}`,
    () => '',
  );
}
