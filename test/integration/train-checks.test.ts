/** What is wrong with a request is said before its images are looked at. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from './cli/run-cli.ts';
import { Stage } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.set();
});
afterAll(() => stage.clear());

it.each([
  ['a setting that the backbone cannot serve', 'settings', ['--method', 'last', '--group', '3']],
  ['a setting of another method', 'usage', ['--method', 'linear', '--rank', '4']],
  ['a backbone that is not there', 'unknown-backbone', ['--method', 'last', '--backbone', 'none-such']],
  ['a run that is not there', 'no-run', ['--method', 'last', '--resume', 'none-such']],
])('%s', async (_, code, flags) => {
  const ended = await runCli(stage.trainArgs('checks', ...flags));
  expect(ended.json).toMatchObject({ error: { code } });
  expect(existsSync(join(stage.workspace('checks'), 'datasets'))).toBe(false);
});

it('a dataset that is not there, before the backbone is looked at', async () => {
  const ended = await runCli(
    stage.trainArgs('checks', '--dataset', 'none-such', '--backbone', 'none-such', '--method', 'last'),
  );
  expect(ended.json).toMatchObject({ error: { code: 'no-dataset' } });
});
