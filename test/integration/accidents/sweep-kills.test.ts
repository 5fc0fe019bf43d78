/** Sweeps that are killed, cut short and damaged. SIDETUNE_KILLS=30 kills a sweep of 40 trials thirty times. */
import { readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { trialName } from '../../../src-main/sweep/sweep-folder.ts';
import { AT_LENGTH, BRIEFLY, disturbed, outcomeOf, sweep, sweepArgs, sweepFolder, type Answer } from './sweep-kills.ts';
import { Scene } from './scene.ts';

const asked = process.env.SIDETUNE_KILLS;
const kills = Number(asked ?? 2);
const how = asked === undefined ? BRIEFLY : AT_LENGTH;

let scene: Scene;
let whole: Answer;
beforeAll(async () => {
  scene = await Scene.set();
  whole = await sweep(scene, 'whole', sweepArgs(scene, how, 2));
});
afterAll(() => scene.clear());

it('comes to the same table with one trial at a time as with two, and reads test for the best alone', async () => {
  await scene.copy('whole', 'single', 'sweeps', 'runs');
  const single = await sweep(scene, 'single', sweepArgs(scene, how, 1));
  expect(outcomeOf(single)).toEqual(outcomeOf(whole));
  expect(whole.best!.test).not.toBeNull();
  const shown = await scene.succeed('whole', ['runs', 'show', whole.best!.run]);
  expect(shown.json).toMatchObject({ result: { val: whole.best!.val, test: whole.best!.test } });
});

it('trains the winner again on train and val, with nothing left to choose an epoch by', async () => {
  const { json } = await scene.succeed('whole', ['sweep', 'retrain', 'latest']);
  expect(json).toMatchObject({ val: null, bestEpoch: whole.best!.epochs, settings: whole.best!.settings });
  expect((json as { test: unknown }).test).not.toBeNull();
});

it(`killed ${kills} times, its trainers or itself, comes to the same table`, async () => {
  await scene.copy('whole', 'killed', 'sweeps', 'runs');
  const args = sweepArgs(scene, how, 2);
  expect(outcomeOf(await disturbed(scene, 'killed', args, kills))).toEqual(outcomeOf(whole));
});

it('goes on with its best trial from where that ended, or from the beginning, to the same numbers', async () => {
  await scene.copy('whole', 'extended');
  await scene.copy('whole', 'anew');
  const [best] = whole.trials.toSorted((a, b) => (b.val?.top1 ?? 0) - (a.val?.top1 ?? 0) || a.trial - b.trial);
  const trial = join('trials', trialName(best!.trial));
  await rm(join(sweepFolder(scene, 'anew'), trial, 'checkpoint.safetensors'));
  const extend = ['sweep', 'extend', 'latest', '--by', '2', '--trial', String(best!.trial)];
  const extended = await sweep(scene, 'extended', extend);
  expect(outcomeOf(extended).trials.slice(0, -1)).toEqual(outcomeOf(whole).trials);
  expect(extended.trials.at(-1)).toMatchObject({
    epochs: best!.epochs + 2,
    extension: { of: best!.trial, by: 2 },
    settings: { ...best!.settings, epochs: best!.epochs + 2 },
  });
  expect(outcomeOf(await sweep(scene, 'anew', extend))).toEqual(outcomeOf(extended));
});

it('cut short in its log and its config, runs no finished trial again', async () => {
  await scene.copy('whole', 'cut');
  const folder = sweepFolder(scene, 'cut');
  const log = join(folder, 'log.jsonl');
  await truncate(log, Math.round((await stat(log)).size * 0.4));
  const config = join(folder, 'sweep.json');
  await writeFile(config, (await readFile(config, 'utf8')).slice(0, 200));
  const ends = whole.trials.map(({ trial }) => join(folder, 'trials', trialName(trial), 'end.json'));
  const before = await Promise.all(ends.map((end) => stat(end)));
  const again = await sweep(scene, 'cut', ['sweep', 'resume', 'latest']);
  expect(outcomeOf(again)).toEqual(outcomeOf(whole));
  const after = await Promise.all(ends.map((end) => stat(end)));
  expect(after.map(({ mtimeMs }) => mtimeMs)).toEqual(before.map(({ mtimeMs }) => mtimeMs));
});
