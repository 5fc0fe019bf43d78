/** Images of several requests through the ViT together, none of them waiting longer for others than it is told. */
import type { SentTensor } from '../../engine/session-messages.ts';
import type { Gathered } from '../gathering-vit.ts';
import { busy, HttpError } from './http-error.ts';
import type { Limits } from './limits.ts';
import { add, type Statistics } from './statistics.ts';

/** What runs a batch. */
export interface Runner {
  /** The deepest block that outputs need: what goes equally deep goes together. */
  depthOf(names: Iterable<string>): number;
  run(pixels: Float32Array, count: number, names: ReadonlySet<string>): Promise<Gathered>;
}

export interface BatchJob {
  /** [count, 3, height, width] */
  pixels: Float32Array;
  count: number;
  /** Outputs, at least one. */
  names: readonly string[];
  signal: AbortSignal;
  /** Of the model that was asked. */
  statistics: Statistics;
}

interface Waiting extends BatchJob {
  depth: number;
  arrived: number;
  /** Images of it that have been given to the runner. */
  taken: number;
  /** Images of it whose outputs are there. */
  done: number;
  found: Gathered;
  resolve: (found: Gathered) => void;
  reject: (error: unknown) => void;
}

type Slice = { job: Waiting; first: number; count: number };

/** Batches that the runner has at a time: the next one is there when one is done. */
const AHEAD = 2;

export class Batcher {
  private readonly waiting: Waiting[] = [];
  private running = 0;
  private images = 0;
  private timer: NodeJS.Timeout | undefined;
  /** Of the newest batch. */
  private secondsAnImage = 0;
  /** When the runner was done with its last batch: it takes them one after the other. */
  private runnerDone = 0;

  constructor(
    private readonly runner: Runner,
    private readonly limits: Pick<Limits, 'batch' | 'delayMs' | 'queue' | 'answerMs'>,
  ) {}

  /** Images that wait or are at work. */
  get load(): number {
    return this.images;
  }

  /**
   * Keeps a place for so many images until `release`. @throws HttpError 503 when there is none, 413 when there never is
   */
  reserve(count: number): () => void {
    const { queue } = this.limits;
    if (count > queue)
      throw new HttpError(413, `A request may have ${queue} images, and this one has ${count}: send several.`);
    this.checkRoom(count);
    this.images += count;
    let held = true;
    return () => {
      if (held) this.images -= count;
      held = false;
    };
  }

  /** Whether there is a place for so many images at the moment. @throws HttpError 503 when there is not */
  checkRoom(count: number): void {
    if (this.images + count > this.limits.queue) throw busy(this.secondsToWait());
  }

  /**
   * The outputs of a job's images, [count, ...] each, of nobody else's. Its place has been reserved.
   * @throws HttpError 503 when its turn does not come in time; the signal's reason; what the runner fails with
   */
  submit(job: BatchJob): Promise<Gathered> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        ...job,
        depth: this.runner.depthOf(job.names),
        arrived: performance.now(),
        taken: 0,
        done: 0,
        found: new Map(),
        resolve,
        reject,
      };
      const give = (error: unknown) => {
        this.drop(waiting);
        reject(error instanceof Error ? error : new Error(String(error)));
      };
      const patience = setTimeout(() => give(busy(this.secondsToWait())), this.limits.answerMs);
      const left = () => give(job.signal.reason);
      job.signal.addEventListener('abort', left, { once: true });
      const settle = () => {
        clearTimeout(patience);
        job.signal.removeEventListener('abort', left);
      };
      waiting.resolve = (found) => {
        settle();
        resolve(found);
      };
      waiting.reject = (error) => {
        settle();
        give(error);
      };
      this.waiting.push(waiting);
      this.pump();
    });
  }

  private drop(job: Waiting): void {
    const place = this.waiting.indexOf(job);
    if (place >= 0) this.waiting.splice(place, 1);
  }

  private secondsToWait(): number {
    return Math.max(1, Math.ceil(this.images * this.secondsAnImage));
  }

  /** Starts batches as long as there are full ones, or such as have waited long enough. */
  private pump(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    while (this.running < AHEAD) {
      const [first] = this.waiting;
      if (!first) return;
      const alike = this.waiting.filter(({ depth }) => depth === first.depth);
      const ready = alike.reduce((sum, { count, taken }) => sum + count - taken, 0);
      const left = first.arrived + this.limits.delayMs - performance.now();
      if (ready < this.limits.batch && left > 0) {
        this.timer = setTimeout(() => this.pump(), left);
        return;
      }
      void this.runBatch(this.take(alike));
    }
  }

  private take(jobs: readonly Waiting[]): Slice[] {
    const slices: Slice[] = [];
    let room = this.limits.batch;
    for (const job of jobs) {
      if (room === 0) break;
      const count = Math.min(room, job.count - job.taken);
      slices.push({ job, first: job.taken, count });
      if (job.taken === 0) add(job.statistics.queue, performance.now() - job.arrived);
      job.taken += count;
      room -= count;
      if (job.taken === job.count) this.drop(job);
    }
    return slices;
  }

  private async runBatch(slices: readonly Slice[]): Promise<void> {
    this.running++;
    try {
      const count = slices.reduce((sum, slice) => sum + slice.count, 0);
      const names = new Set(slices.flatMap(({ job }) => job.names));
      const begun = performance.now();
      const pixels = joinPixels(slices, count);
      const joined = performance.now();
      const found = await this.runner.run(pixels, count, names);
      const done = performance.now();
      const ms = done - Math.max(joined, this.runnerDone);
      this.runnerDone = done;
      this.secondsAnImage = ms / 1000 / count;
      for (const statistics of new Set(slices.map(({ job }) => job.statistics))) {
        const own = slices.filter(({ job }) => job.statistics === statistics);
        add(statistics.computeInput, joined - begun);
        statistics.executed(
          own.reduce((sum, slice) => sum + slice.count, 0),
          ms,
        );
      }
      this.handOut(slices, found, count);
    } catch (error) {
      for (const { job } of slices) job.reject(error);
    } finally {
      this.running--;
      this.pump();
    }
  }

  private handOut(slices: readonly Slice[], found: Gathered, count: number): void {
    let at = 0;
    for (const slice of slices) {
      const { job } = slice;
      for (const name of job.names) {
        const all = found.get(name);
        if (!all) throw new Error(`The ViT gave no ${name}.`);
        const each = all.length / count;
        let own = job.found.get(name);
        if (!own) {
          own = emptyLike(all, job.count * each);
          job.found.set(name, own);
        }
        own.set(all.subarray(at * each, (at + slice.count) * each), slice.first * each);
      }
      at += slice.count;
      job.done += slice.count;
      if (job.done === job.count) job.resolve(job.found);
    }
  }
}

function joinPixels(slices: readonly Slice[], count: number): Float32Array {
  const [only] = slices;
  const size = only!.job.pixels.length / only!.job.count;
  const part = ({ job, first, count: some }: Slice) => job.pixels.subarray(first * size, (first + some) * size);
  if (slices.length === 1) return part(only!);
  const pixels = new Float32Array(count * size);
  let at = 0;
  for (const slice of slices) {
    pixels.set(part(slice), at);
    at += slice.count * size;
  }
  return pixels;
}

function emptyLike(all: SentTensor['data'], length: number): SentTensor['data'] {
  const Kind = all.constructor as new (length: number) => SentTensor['data'];
  return new Kind(length);
}
