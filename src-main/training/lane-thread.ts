/** The thread behind `ThreadLane`: a compiled gradient program and a reader of its own. */
import { answerRequests } from '../base/asked-thread.ts';
import { openProgram } from '../engine/session.ts';
import { LocalLane, type GradientSum } from './gradient-lane.ts';
import type { LaneRequest } from './thread-lane.ts';

let lane: LocalLane | undefined;

answerRequests(async (request: LaneRequest): Promise<GradientSum | undefined> => {
  switch (request.kind) {
    case 'open': {
      const { program, features, needs } = request;
      lane = await LocalLane.open(await openProgram(program, { threads: 1 }), features, needs, request);
      return undefined;
    }
    case 'run':
      return lane!.run(request.parameters, request.parts, request.upcoming);
    case 'close':
      await lane?.close();
      return undefined;
  }
});
