/** The thread behind `Lane`. */
import { parentPort } from 'node:worker_threads';
import type { Executable } from '../../../src-main/engine/program.ts';
import { openProgram } from '../../../src-main/engine/session.ts';
import { allocateBatch, drawBatch } from './batch.ts';
import type { LaneReply, LaneRequest, LaneTask } from './lane.ts';

const port = parentPort;
if (!port) throw new Error('This file is the entry of a worker thread.');
let open: { task: LaneTask; executable: Executable } | undefined;

port.on('message', (request: LaneRequest) => {
  answer(request).then(
    (reply) => {
      port.postMessage(reply, reply.kind === 'done' ? [reply.result.gradient.buffer] : []);
    },
    (error: unknown) => {
      const message = error instanceof Error ? error.message : String(error);
      port.postMessage({ kind: 'failed', message } satisfies LaneReply);
    },
  );
});

async function answer(request: LaneRequest): Promise<LaneReply> {
  if (request.kind === 'open') {
    open = { task: request.task, executable: await openProgram(request.task.program, { threads: 1 }) };
    return { kind: 'opened' };
  }
  if (!open) throw new Error('The thread was not opened.');
  const { task, executable } = open;
  const { parameters, first } = request;
  const batch = allocateBatch(task.size);
  drawBatch(batch, task.size, first, task.seed, task.share);
  const gradient = new Float32Array(parameters.length);
  const loss = new Float32Array(1);
  await executable.run({ parameters, ...batch }, { gradient, loss });
  return { kind: 'done', result: { gradient, loss: loss[0]! } };
}
