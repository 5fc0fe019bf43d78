import { AskedThread } from '../base/asked-thread.ts';
import { startThread } from '../base/start-thread.ts';
import type { LoweredProgram } from '../engine/session.ts';
import type { FeatureSet } from '../features/feature-set.ts';
import type { FeatureNeeds } from '../features/feature-source.ts';
import type { GradientSource, GradientSum, LaneStep, MicroBatch } from './gradient-source.ts';

/** What a thread is opened with: a lowered `gradientProgram`, and the features that it reads for itself. */
export interface GradientThreadOptions {
  program: LoweredProgram;
  features: FeatureSet;
  needs: FeatureNeeds;
  /** Elements of the parameter vector. */
  size: number;
  microBatch: number;
}

export type GradientRequest =
  | ({ kind: 'open' } & GradientThreadOptions)
  | {
      kind: 'run';
      lanes: readonly LaneStep[];
      parts: readonly MicroBatch[];
      upcoming: Int32Array | undefined;
    }
  | { kind: 'close' };

/**
 * Gradients on a thread of their own. Two threads with one micro-batch each beat one operator spread over two threads:
 * most of a step's operators are too small to be worth dividing.
 */
export class GradientThread implements GradientSource {
  private constructor(private readonly thread: AskedThread<GradientRequest, GradientSum[]>) {}

  static async open(options: GradientThreadOptions): Promise<GradientThread> {
    const thread = new AskedThread<GradientRequest, GradientSum[]>(
      startThread('./gradient-worker', import.meta.url),
      'training',
    );
    try {
      await thread.ask({ kind: 'open', ...options });
      return new GradientThread(thread);
    } catch (error) {
      await thread.close();
      throw error;
    }
  }

  run(
    lanes: readonly LaneStep[],
    parts: readonly MicroBatch[],
    upcoming: Int32Array | undefined,
  ): Promise<GradientSum[]> {
    return this.thread.ask({ kind: 'run', lanes, parts, upcoming });
  }

  async close(): Promise<void> {
    await this.thread.ask({ kind: 'close' }).catch(() => undefined);
    await this.thread.close();
  }
}
