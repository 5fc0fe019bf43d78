/** What a training is said to take, and what it then takes. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { HEADER_RESERVE } from '../../src-main/features/row-file.ts';
import { runCli } from './cli/run-cli.ts';
import { Stage } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.set();
});
afterAll(() => stage.clear());

const forecastSchema = z.object({
  images: z.object({ train: z.literal(160), val: z.literal(48), test: z.literal(64) }),
  epochs: z.literal(4),
  features: z.object({
    bytesPerImage: z.int(),
    totalBytes: z.int(),
    cachedBytes: z.int(),
    copiedBytes: z.int(),
    freeBytes: z.number().positive(),
  }),
  memory: z.object({
    trainerBytes: z.number().positive(),
    vitBytes: z.number().positive().nullable(),
    availableBytes: z.number().positive(),
  }),
  seconds: z.object({ extract: z.number(), train: z.number().positive(), total: z.number().positive() }),
  warnings: z.array(z.string()).max(0),
});

const settings = ['--method', 'last', '--epochs', '4'];

async function forecast(workspace: string, ...more: string[]) {
  const ended = await runCli(stage.trainArgs(workspace, ...settings, '--forecast', ...more));
  expect(ended.code, ended.stderr).toBe(0);
  return forecastSchema.parse(ended.json);
}

const entries = (folder: string) => (existsSync(folder) ? readdirSync(folder) : []);

it('is said without a trace but dataset and backbone, and holds for disk and memory', async () => {
  const before = await forecast('said');
  expect(entries(join(stage.workspace('said'), 'runs'))).toEqual([]);
  expect(entries(join(stage.workspace('said'), 'features'))).toEqual([]);
  expect(before.seconds.extract).toBeGreaterThan(0);
  expect(before.seconds.total).toBeGreaterThan(before.seconds.extract + before.seconds.train);

  const result = await stage.train('said', ...settings);
  expect(before.features.bytesPerImage).toBe(result.featureBytesPerImage);
  const features = join(stage.workspace('said'), 'features');
  const files = readdirSync(features, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.safetensors'),
  );
  const bytes = files.reduce((sum, name) => sum + statSync(join(features, name)).size - HEADER_RESERVE, 0);
  expect(before.features).toMatchObject({ totalBytes: bytes, cachedBytes: 0, copiedBytes: 0 });
  expect(before.memory.trainerBytes / result.peakRssBytes.trainer).toBeGreaterThan(0.7);
  expect(before.memory.trainerBytes / result.peakRssBytes.trainer).toBeLessThan(1.4);
  expect(before.memory.vitBytes! / result.peakRssBytes.vit!).toBeGreaterThan(0.7);
  expect(before.memory.vitBytes! / result.peakRssBytes.vit!).toBeLessThan(1.4);

  const after = await forecast('said');
  expect(after.features.cachedBytes).toBe(after.features.totalBytes);
  expect(after.seconds.extract).toBe(0);
  expect(after.memory.vitBytes).toBeNull();
  expect(readdirSync(join(stage.workspace('said'), 'runs'))).toEqual([result.run]);
});

it('without a cache has the ViT in the training and nothing on the disk', async () => {
  const live = await forecast('live', '--cache', 'none');
  expect(live.features).toMatchObject({ bytesPerImage: 0, totalBytes: 0 });
  expect(live.seconds.extract).toBe(0);
  expect(live.memory.vitBytes).toBe(live.memory.trainerBytes);
  expect(entries(join(stage.workspace('live'), 'features'))).toEqual([]);
});

it('is a line before a training, which no rehearsal holds up where that is short', async () => {
  const ended = await runCli(stage.trainArgs('short', '--method', 'linear', '--epochs', '1', '--no-test'));
  expect(ended.code).toBe(0);
  expect(ended.stderr).toMatch(/^will take less than a minute or so; features .* an image, .* in all, .* free$/m);
});
