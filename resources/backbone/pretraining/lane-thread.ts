/** The thread behind `Lane`. */
import { answerRequests } from '../../../src-main/base/asked-thread.ts';
import type { Executable } from '../../../src-main/engine/program.ts';
import { openProgram } from '../../../src-main/engine/session.ts';
import { allocateBatch, drawBatch } from './batch.ts';
import type { LaneRequest, LaneResult, LaneTask } from './lane.ts';

let open: { task: LaneTask; executable: Executable } | undefined;

answerRequests(answer, (result) => (result ? [result.gradient.buffer] : []));

async function answer(request: LaneRequest): Promise<LaneResult | undefined> {
  if (request.kind === 'open') {
    open = { task: request.task, executable: await openProgram(request.task.program, { threads: 1 }) };
    return undefined;
  }
  if (!open) throw new Error('The thread was not opened.');
  const { task, executable } = open;
  const { parameters, first } = request;
  const batch = allocateBatch(task.size);
  drawBatch(batch, task.size, first, task.seed, task.share);
  const gradient = new Float32Array(parameters.length);
  const loss = new Float32Array(1);
  await executable.run({ parameters, ...batch }, { gradient, loss });
  return { gradient, loss: loss[0]! };
}
