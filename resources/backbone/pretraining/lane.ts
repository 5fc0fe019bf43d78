import { AskedThread } from '../../../src-main/base/asked-thread.ts';
import { startThread } from '../../../src-main/base/start-thread.ts';
import type { LoweredProgram } from '../../../src-main/engine/session.ts';

export interface LaneTask {
  program: LoweredProgram;
  /** Pictures in a micro-batch. */
  size: number;
  /** A picture's share of the step's loss. */
  share: number;
  seed: number;
}

export interface LaneResult {
  gradient: Float32Array<ArrayBuffer>;
  loss: number;
}

export type LaneRequest = { kind: 'open'; task: LaneTask } | { kind: 'run'; parameters: Float32Array; first: number };

/** A thread that draws pictures and turns them into gradients, one micro-batch at a time. */
export class Lane {
  private readonly thread = new AskedThread<LaneRequest, LaneResult | undefined>(
    startThread('./lane-thread', import.meta.url),
    'pretraining',
  );

  private constructor() {}

  static async open(task: LaneTask): Promise<Lane> {
    const lane = new Lane();
    await lane.thread.ask({ kind: 'open', task });
    return lane;
  }

  /** Loss and gradient of the micro-batch whose first picture has this number. */
  async run(parameters: Float32Array, first: number): Promise<LaneResult> {
    return (await this.thread.ask({ kind: 'run', parameters, first }))!;
  }

  close(): Promise<void> {
    return this.thread.close();
  }
}
