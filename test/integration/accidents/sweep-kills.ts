/** A sweep of short trials, and what kills it. */
import type { ChildProcess } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { generatorFor, uniform } from '../../../src-main/training/random.ts';
import { processesBelow, signalChild, signalTree } from './processes.ts';
import { until, type Scene } from './scene.ts';

const score = z.strictObject({ top1: z.number(), macro: z.number() });
const trial = z.looseObject({
  trial: z.int(),
  state: z.enum(['done', 'pruned', 'failed']),
  epochs: z.int(),
  loss: z.number().nullable(),
  bestEpoch: z.int().nullable(),
  val: score.nullable(),
  test: z.null(),
  settings: z.record(z.string(), z.unknown()),
});
const answer = z.strictObject({
  sweep: z.string(),
  trials: z.array(trial),
  best: z
    .looseObject({ run: z.string(), epochs: z.int(), val: score, test: score.nullable(), settings: z.unknown() })
    .nullable(),
  retrained: z.looseObject({ run: z.string(), val: z.null(), test: score.nullable() }).nullable(),
  seconds: z.strictObject({ extract: z.number(), train: z.number(), total: z.number() }),
});
export type Answer = z.infer<typeof answer>;

/** Five trials that end soon. */
export const BRIEFLY = ['--epochs', '3', '--sampler', 'random', '--trials', '5'];
/** Forty, that learn from each other and are pruned. */
export const AT_LENGTH = ['--epochs', '6', '--deterministic', '--sampler', 'tpe', '--pruner', 'asha', '--trials', '40'];

export function sweepArgs({ dataset, backbone }: Scene, how: readonly string[], parallel: number): string[] {
  const what = ['--dataset', dataset, '--backbone', backbone, '--method', 'last', '--parallel', String(parallel)];
  return ['sweep', ...what, '--grid', 'rank=2,3', 'lr=1e-3,3e-3,1e-2', 'seed=1,2,3,4,5,6,7', ...how];
}

/** The answer of a command that has to succeed. */
export async function sweep(scene: Scene, workspace: string, args: readonly string[]): Promise<Answer> {
  return answer.parse((await scene.succeed(workspace, args)).json);
}

/** What of a sweep's outcome has to repeat. */
export function outcomeOf({ trials, best }: Answer) {
  return {
    trials: trials.map(({ trial: number, state, epochs, loss, bestEpoch, val, settings, reason }) => {
      return { number, state, epochs, loss, bestEpoch, val, settings, reason };
    }),
    best: best && { val: best.val, test: best.test },
  };
}

/** The only sweep of a workspace. */
export function sweepFolder(scene: Scene, workspace: string): string {
  const sweeps = join(scene.path(workspace), 'sweeps');
  return join(sweeps, readdirSync(sweeps)[0]!);
}

/** Lines in the log, epochs and ends among them: how far the sweep is. */
function linesIn(scene: Scene, workspace: string): number {
  try {
    return readFileSync(join(sweepFolder(scene, workspace), 'log.jsonl'), 'utf8').split('\n').length;
  } catch {
    return 0;
  }
}

/** Starts a sweep, kills it or its trainers `kills` times, goes on each time, and returns how it ends. */
export async function disturbed(
  scene: Scene,
  workspace: string,
  args: readonly string[],
  kills: number,
): Promise<Answer> {
  const generator = generatorFor(7, 1);
  let left = kills;
  for (let next = args; ; next = ['sweep', '--resume']) {
    const ended = await scene.run(workspace, next, {
      onStart: (child) => {
        void killSome(
          scene,
          workspace,
          child,
          () => {
            left--;
            return uniform(generator);
          },
          () => left > 0,
        );
      },
    });
    if (ended.code === 0) return answer.parse(ended.json);
  }
}

/** Kills trainers of a command now and then, and in the end the command, with or without all below it. */
async function killSome(
  scene: Scene,
  workspace: string,
  child: ChildProcess,
  draw: () => number,
  more: () => boolean,
): Promise<void> {
  const ended = () => child.exitCode !== null || child.signalCode !== null;
  while (more() && !ended()) {
    const before = linesIn(scene, workspace);
    await until(() => linesIn(scene, workspace) >= before + 4 && processesBelow(child.pid!).length > 0, ended);
    if (ended()) return;
    const what = draw();
    if (what < 0.4) signalChild(child.pid!, 'trainer-process', 'SIGKILL');
    else if (what < 0.7) signalTree(child.pid!, 'SIGKILL');
    else child.kill('SIGKILL');
  }
}
