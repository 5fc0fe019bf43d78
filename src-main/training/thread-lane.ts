import type { Worker } from 'node:worker_threads';
import { Failure } from '../base/failure.ts';
import { startThread } from '../base/start-thread.ts';
import type { LoweredProgram } from '../engine/session.ts';
import type { FeatureSet } from '../features/feature-set.ts';
import type { FeatureNeeds } from '../features/feature-source.ts';
import type { GradientLane, GradientSum, MicroBatch } from './gradient-lane.ts';

export type LaneRequest =
  | {
      kind: 'open';
      program: LoweredProgram;
      features: FeatureSet;
      needs: FeatureNeeds;
      size: number;
      microBatch: number;
    }
  | { kind: 'run'; parameters: Float32Array; parts: readonly MicroBatch[]; upcoming: Int32Array | undefined }
  | { kind: 'close' };

export type LaneReply = { kind: 'done'; sum?: GradientSum } | { kind: 'failed'; message: string; code?: string };

/**
 * A lane on a thread of its own. Two threads with one micro-batch each beat one operator spread over two threads: most
 * of a step's operators are too small to be worth dividing.
 */
export class ThreadLane implements GradientLane {
  private waiting:
    { resolve: (reply: Extract<LaneReply, { kind: 'done' }>) => void; reject: (error: Error) => void } | undefined;

  private ended: Error | undefined;

  private constructor(private readonly worker: Worker) {
    worker.on('message', (reply: LaneReply) => {
      const { waiting } = this;
      this.waiting = undefined;
      if (reply.kind === 'done') waiting?.resolve(reply);
      else waiting?.reject(reply.code ? new Failure(reply.code, reply.message) : new Error(reply.message));
    });
    worker.on('error', (error) => this.fail(error));
    worker.on('exit', () => this.fail(new Error('A training thread ended.')));
  }

  static async open(request: Omit<Extract<LaneRequest, { kind: 'open' }>, 'kind'>): Promise<ThreadLane> {
    const lane = new ThreadLane(startThread('./lane-thread', import.meta.url));
    try {
      await lane.ask({ kind: 'open', ...request });
      return lane;
    } catch (error) {
      await lane.worker.terminate();
      throw error;
    }
  }

  async run(
    parameters: Float32Array,
    parts: readonly MicroBatch[],
    upcoming: Int32Array | undefined,
  ): Promise<GradientSum> {
    return (await this.ask({ kind: 'run', parameters, parts, upcoming })).sum!;
  }

  async close(): Promise<void> {
    await this.ask({ kind: 'close' }).catch(() => undefined);
    await this.worker.terminate();
  }

  private ask(request: LaneRequest): Promise<Extract<LaneReply, { kind: 'done' }>> {
    if (this.ended) return Promise.reject(this.ended);
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      this.worker.postMessage(request);
    });
  }

  private fail(error: Error): void {
    this.ended ??= error;
    this.waiting?.reject(error);
    this.waiting = undefined;
  }
}
