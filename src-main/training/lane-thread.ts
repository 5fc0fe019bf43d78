/** The thread behind `ThreadLane`: a compiled gradient program and a reader of its own. */
import { parentPort } from 'node:worker_threads';
import { Failure } from '../base/failure.ts';
import { openProgram } from '../engine/session.ts';
import { LocalLane } from './gradient-lane.ts';
import type { LaneReply, LaneRequest } from './thread-lane.ts';

const port = parentPort;
if (!port) throw new Error('This file is the entry of a worker thread.');
let lane: LocalLane | undefined;

port.on('message', (request: LaneRequest) => {
  answer(request).then(
    (reply) => port.postMessage(reply),
    (error: unknown) => {
      const message = error instanceof Error ? error.message : String(error);
      port.postMessage({
        kind: 'failed',
        message,
        ...(error instanceof Failure ? { code: error.code } : {}),
      } satisfies LaneReply);
    },
  );
});

async function answer(request: LaneRequest): Promise<LaneReply> {
  switch (request.kind) {
    case 'open':
      lane = await LocalLane.open(
        await openProgram(request.program, { threads: 1 }),
        request.features,
        request.needs,
        request,
      );
      return { kind: 'done' };
    case 'run':
      return { kind: 'done', sum: await lane!.run(request.parameters, request.parts, request.upcoming) };
    case 'close':
      await lane?.close();
      return { kind: 'done' };
  }
}
