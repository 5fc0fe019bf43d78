/** Sweeps whose trials are lanes of one process against sweeps that give each trial its own. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { trialName } from '../../../src-main/sweep/sweep-folder.ts';
import { disturbed, outcomeOf, sweep, sweepFolder, type Answer } from './sweep-kills.ts';
import { Scene } from './scene.ts';

let scene: Scene;
let single: Answer;
/** Six trials of one graph, two of which diverge beside the others. */
const argsOf = (...more: string[]) => [
  ...['sweep', '--dataset', scene.dataset, '--backbone', scene.backbone, '--method', 'last', '--rank', '2'],
  ...['--grid', 'lr=1e-3,1e-2,1e30', 'drop-path=0,0.2', '--epochs', '4', '--no-test', '--parallel', '1', ...more],
];
beforeAll(async () => {
  scene = await Scene.set();
  single = await sweep(scene, 'single', argsOf('--lanes', '1'));
});
afterAll(() => scene.clear());

/** The bytes of every trial's best parameters; null for a trial that has none. */
function bestOf(workspace: string, { trials }: Answer): Promise<(string | null)[]> {
  const folder = join(sweepFolder(scene, workspace), 'trials');
  return Promise.all(
    trials.map(({ trial }) => readFile(join(folder, trialName(trial), 'best.safetensors'), 'base64').catch(() => null)),
  );
}

it('four lanes come to the same table and parameters, and a trial that diverges takes nobody along', async () => {
  await scene.copy('single', 'lanes', 'sweeps', 'runs');
  const lanes = await sweep(scene, 'lanes', argsOf('--lanes', '4'));
  expect(lanes.trials.map(({ state }) => state)).toEqual(['done', 'done', 'done', 'done', 'failed', 'failed']);
  expect(outcomeOf(lanes)).toEqual(outcomeOf(single));
  expect(await bestOf('lanes', lanes)).toEqual(await bestOf('single', single));
});

it('as many lanes as pay on this machine, killed on the way, too', async () => {
  await scene.copy('single', 'killed', 'sweeps', 'runs');
  const killed = await disturbed(scene, 'killed', argsOf('--lanes', 'auto'), 2);
  expect(outcomeOf(killed)).toEqual(outcomeOf(single));
  expect(await bestOf('killed', killed)).toEqual(await bestOf('single', single));
});
