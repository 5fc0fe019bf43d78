import { AskedThread } from '../base/asked-thread.ts';
import { startThread } from '../base/start-thread.ts';
import type { LoweredProgram } from '../engine/session.ts';
import type { FeatureSet } from '../features/feature-set.ts';
import type { FeatureNeeds } from '../features/feature-source.ts';
import type { GradientLane, GradientSum, MicroBatch } from './gradient-lane.ts';

/** What a lane is opened with: a lowered `gradientProgram`, and the features that it reads for itself. */
export interface LaneOptions {
  program: LoweredProgram;
  features: FeatureSet;
  needs: FeatureNeeds;
  /** Elements of the parameter vector. */
  size: number;
  microBatch: number;
}

export type LaneRequest =
  | ({ kind: 'open' } & LaneOptions)
  | { kind: 'run'; parameters: Float32Array; parts: readonly MicroBatch[]; upcoming: Int32Array | undefined }
  | { kind: 'close' };

/**
 * A lane on a thread of its own. Two threads with one micro-batch each beat one operator spread over two threads: most
 * of a step's operators are too small to be worth dividing.
 */
export class ThreadLane implements GradientLane {
  private constructor(private readonly thread: AskedThread<LaneRequest, GradientSum | undefined>) {}

  static async open(options: LaneOptions): Promise<ThreadLane> {
    const thread = new AskedThread<LaneRequest, GradientSum | undefined>(
      startThread('./lane-thread', import.meta.url),
      'training',
    );
    try {
      await thread.ask({ kind: 'open', ...options });
      return new ThreadLane(thread);
    } catch (error) {
      await thread.close();
      throw error;
    }
  }

  async run(
    parameters: Float32Array,
    parts: readonly MicroBatch[],
    upcoming: Int32Array | undefined,
  ): Promise<GradientSum> {
    return (await this.thread.ask({ kind: 'run', parameters, parts, upcoming }))!;
  }

  async close(): Promise<void> {
    await this.thread.ask({ kind: 'close' }).catch(() => undefined);
    await this.thread.close();
  }
}
