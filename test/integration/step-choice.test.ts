/** The probe of the step's form and micro-batch, in its own process, and what a run makes of it. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { train } from '../../src-main/studio/train.ts';
import type { TrainRequest } from '../../src-main/studio/train-request.ts';
import { listRuns, type RunConfig } from '../../src-main/training/run-folder.ts';
import { Workspace } from '../../src-main/workspace/workspace.ts';
import { Stage } from './stage.ts';

let stage: Stage;
let workspace: Workspace;
beforeAll(async () => {
  stage = await Stage.set();
  workspace = await Workspace.open(stage.workspace('probed'));
});
afterAll(() => stage.clear());

/** Long enough to be worth a probe; stopped as soon as it trains. */
const EPOCHS = 1_000_000;

async function begin(more: Partial<TrainRequest> = {}): Promise<RunConfig> {
  const stop = new AbortController();
  const request: TrainRequest = {
    dataset: stage.dataset,
    backbone: stage.backbone,
    settings: { method: 'last', epochs: EPOCHS, batch: 8, limit: 16 },
    threads: 1,
    noTest: true,
    ...more,
  };
  const options = {
    signal: stop.signal,
    onProgress: ({ task }: { task: string }) => {
      if (task === 'train') stop.abort();
    },
  };
  await expect(train(workspace, request, options)).rejects.toThrow();
  return (await listRuns(workspace)).at(-1)!;
}

const probeFile = z.object({
  of: z.object({ method: z.literal('last'), width: z.literal(96), threads: z.literal(1) }),
  timed: z.array(z.object({ stepForm: z.string(), microBatch: z.int(), msPerImage: z.number() })).min(2),
});

it('is asked once, kept in the workspace, and obeyed by later runs and by resumed ones', async () => {
  const first = await begin();
  const probes = join(workspace.root, 'probes');
  const [name, ...others] = await readdir(probes);
  expect(others).toEqual([]);
  expect(name).toMatch(/^last-65x96-[0-9a-f]{12}\.json$/);
  const path = join(probes, name!);
  const kept = probeFile.parse(JSON.parse(await readFile(path, 'utf8')));
  expect(kept.timed).toContainEqual(
    expect.objectContaining({ stepForm: first.stepForm, microBatch: first.microBatch }) as unknown,
  );

  // The file is what later runs go by: one that says something else is obeyed.
  const told = { ...kept, timed: [{ stepForm: 'low-rank', microBatch: 3, msPerImage: 0.001 }] };
  await writeFile(path, JSON.stringify(told));
  expect(await begin()).toMatchObject({ stepForm: 'low-rank', microBatch: 3 });
  // A form that is asked for and was never timed gets the usual micro-batch.
  expect(await begin({ stepForm: 'plain' })).toMatchObject({ stepForm: 'plain', microBatch: 8 });
  // A run that goes on keeps what it began with.
  await begin({ resume: first.run });
  const resumed = (await listRuns(workspace)).find(({ run }) => run === first.run);
  expect(resumed).toMatchObject({ stepForm: first.stepForm, microBatch: first.microBatch });

  await writeFile(path, '{ "timed": [');
  await begin();
  expect(probeFile.parse(JSON.parse(await readFile(path, 'utf8'))).timed.length).toBeGreaterThan(1);
});

it('is not asked for a short run', async () => {
  const short = await Workspace.open(stage.workspace('short'));
  const { run } = await train(short, {
    dataset: stage.dataset,
    backbone: stage.backbone,
    settings: { method: 'last', epochs: 1, batch: 8, limit: 16 },
    threads: 1,
    noTest: true,
  });
  expect((await listRuns(short)).map((config) => [config.run, config.stepForm, config.microBatch])).toEqual([
    [run, 'plain', 8],
  ]);
  await expect(readdir(join(short.root, 'probes'))).rejects.toThrow();
});
