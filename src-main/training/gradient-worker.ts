/** The thread behind `GradientThread`: a compiled gradient program and a reader of its own. */
import { answerRequests } from '../base/asked-thread.ts';
import { openProgram } from '../engine/session.ts';
import { LocalGradients, type GradientSum } from './gradient-source.ts';
import type { GradientRequest } from './gradient-thread.ts';

let gradients: LocalGradients | undefined;

answerRequests(async (request: GradientRequest): Promise<GradientSum[]> => {
  switch (request.kind) {
    case 'open': {
      const { program, features, needs } = request;
      gradients = await LocalGradients.open(await openProgram(program, { threads: 1 }), features, needs, request);
      return [];
    }
    case 'run':
      return gradients!.run(request.lanes, request.parts, request.upcoming);
    case 'close':
      await gradients?.close();
      return [];
  }
});
