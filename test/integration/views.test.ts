/** Training on several views of each image: kept for the training images alone, drawn by the seed, the same after a kill. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { signalTree } from './accidents/processes.ts';
import { Scene, until } from './accidents/scene.ts';
import { epochsOf, hashOf } from './stage.ts';

let scene: Scene;
beforeAll(async () => (scene = await Scene.set({ train: 48, val: 16, test: 16 })));
afterAll(() => scene.clear());

const VIEWS = ['--views', '3', '--epochs', '6'];
const traceOf = async (workspace: string) => ({
  epochs: await epochsOf(scene.runFile(workspace, 'metrics.jsonl')),
  best: await hashOf(scene.runFile(workspace, 'best.safetensors')),
});

/** Images in the lists whose features are kept. */
function listsOf(workspace: string): number[] {
  const folder = join(scene.path(workspace), 'features');
  const about = z.object({ images: z.int() });
  return readdirSync(folder)
    .map((key) => join(folder, key, 'about.json'))
    .filter((path) => existsSync(path))
    .map((path) => about.parse(JSON.parse(readFileSync(path, 'utf8'))).images)
    .sort((a, b) => a - b);
}

it('comes to the same numbers when it is killed, and keeps views of the training images alone', async () => {
  const whole = await scene.train('whole', ...VIEWS);
  expect(whole.settings).toMatchObject({ views: 3 });
  expect(listsOf('whole')).toEqual([16, 16, 3 * 48]);

  await scene.copy('whole', 'killed', 'runs');
  const killed = await scene.run('killed', scene.trainArgs(...VIEWS), {
    onStart: (child) => {
      const ended = () => child.exitCode !== null || child.signalCode !== null;
      void until(() => scene.epochsDone('killed') >= 2, ended).then(() => signalTree(child.pid!, 'SIGKILL'));
    },
  });
  expect(killed.code).toBeNull();
  await scene.resume('killed', scene.runs('killed')[0]!);
  expect(await traceOf('killed')).toEqual(await traceOf('whole'));
});

it('is a setting of sweeps, whose trials share the views that the richest of them has', async () => {
  const data = ['--dataset', scene.dataset, '--backbone', scene.backbone];
  const what = [...data, '--method', 'linear', '--no-test', '--threads', '1'];
  const { json } = await scene.succeed('sweep', ['sweep', ...what, '--epochs', '2', '--grid', 'views=1,2']);
  const { trials } = z
    .object({ trials: z.array(z.object({ state: z.string(), loss: z.number(), settings: z.looseObject({}) })) })
    .parse(json);
  expect(trials.map(({ state, settings }) => [state, settings.views])).toEqual([
    ['done', 1],
    ['done', 2],
  ]);
  expect(trials[0]!.loss).not.toBe(trials[1]!.loss);
  expect(listsOf('sweep')).toEqual([16, 2 * 48]);
  const alone = await scene.succeed('sweep', ['train', ...what, '--epochs', '2']);
  expect(trials[0]!.loss).toBeCloseTo((alone.json as { loss: number }).loss, 5);
});
