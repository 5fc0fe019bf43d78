/** A thread that draws pictures and turns them into gradients, one micro-batch at a time. */
import type { Worker } from 'node:worker_threads';
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
export type LaneReply = { kind: 'opened' } | { kind: 'done'; result: LaneResult } | { kind: 'failed'; message: string };

export class Lane {
  private waiting: { resolve: (reply: LaneReply) => void; reject: (error: Error) => void } | undefined;

  private constructor(private readonly worker: Worker) {
    worker.on('message', (reply: LaneReply) => {
      if (reply.kind === 'failed') this.waiting?.reject(new Error(reply.message));
      else this.waiting?.resolve(reply);
    });
    worker.on('error', (error) => this.waiting?.reject(error));
    worker.on('exit', () => this.waiting?.reject(new Error('A pretraining thread ended.')));
  }

  static async open(task: LaneTask): Promise<Lane> {
    const lane = new Lane(startThread('./lane-thread', import.meta.url));
    await lane.ask({ kind: 'open', task });
    return lane;
  }

  /** Loss and gradient of the micro-batch whose first picture has this number. */
  async run(parameters: Float32Array, first: number): Promise<LaneResult> {
    const reply = await this.ask({ kind: 'run', parameters, first });
    if (reply.kind !== 'done') throw new Error('A pretraining thread answered out of turn.');
    return reply.result;
  }

  async close(): Promise<void> {
    await this.worker.terminate();
  }

  private ask(request: LaneRequest): Promise<LaneReply> {
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      this.worker.postMessage(request);
    });
  }
}
