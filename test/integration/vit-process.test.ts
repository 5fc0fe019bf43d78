/** The ViT in a process of its own: the same numbers, a memory of its own, and an end that is only its own. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { writePlainVit } from '../../src-main/backbone/plain-vit.ts';
import { loadBackbone, type Backbone } from '../../src-main/backbone/catalogue.ts';
import type { MapRequest } from '../../src-main/backbone/surgery.ts';
import { peakRssBytes } from '../../src-main/base/peak-memory.ts';
import { runSessionsIn, sessionPlace } from '../../src-main/engine/session-place.ts';
import { FrozenVit } from '../../src-main/features/frozen-vit.ts';
import { addBackbone } from '../../src-main/studio/backbones.ts';
import { changePreferences, placeVit, readPreferences } from '../../src-main/studio/preferences.ts';
import { Workspace } from '../../src-main/workspace/workspace.ts';
import { processesBelow, signalChild } from './accidents/processes.ts';

const SIZE = 16;
const maps: MapRequest[] = [{ kind: 'P', group: 1, index: 1 }];
let folder: string;
let workspace: Workspace;
let backbone: Backbone;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vit-process-'));
  workspace = await Workspace.open(join(folder, 'w'));
  const file = join(folder, 'vit.onnx');
  await writeFile(file, writePlainVit({ size: SIZE, width: 24, blocks: 2 }));
  await addBackbone(workspace, { file });
  backbone = await loadBackbone(workspace, 'vit');
});
afterEach(() => {
  runSessionsIn('thread');
  vi.unstubAllEnvs();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const pixels = Float32Array.from({ length: 2 * 3 * SIZE * SIZE }, (_, index) => Math.sin(index));
const inProcess = () => processesBelow(process.pid).filter(({ args }) => args.includes('session-process'));

it('computes the same bits as on a thread, batch after batch, and tells its own peak of memory', async () => {
  const outcomes: unknown[] = [];
  for (const place of ['thread', 'process'] as const) {
    runSessionsIn(place);
    const vit = await FrozenVit.open(backbone, maps, { threads: 1 });
    expect(inProcess()).toHaveLength(place === 'process' ? 1 : 0);
    const first = await vit.run(pixels, 2, [1]);
    const values = structuredClone(first);
    vit.reuse(first);
    const second = structuredClone(await vit.run(pixels.toReversed(), 2, [1]));
    expect(second).not.toEqual(values);
    const [own, its] = [peakRssBytes(), await vit.peakRssBytes()];
    if (place === 'process') expect(Math.abs(own - its)).toBeGreaterThan(1e6);
    else expect(its).toBeGreaterThanOrEqual(own);
    await vit.close();
    outcomes.push([values, second]);
  }
  expect(outcomes[1]).toEqual(outcomes[0]);
  expect(inProcess()).toEqual([]);
});

it('ends alone, with a sentence, and the next one works', async () => {
  runSessionsIn('process');
  const vit = await FrozenVit.open(backbone, maps, { threads: 1 });
  expect(signalChild(process.pid, 'session-process', 'SIGKILL')).toBe(true);
  const ended = { code: 'inference-ended', message: expect.stringContaining('SIGKILL') as string };
  await expect(vit.run(pixels, 2, [1])).rejects.toMatchObject(ended);
  await vit.close();
  const next = await FrozenVit.open(backbone, maps, { threads: 1 });
  expect((await next.run(pixels, 2, [1])).maps).toHaveLength(1);
  await next.close();
});

it('is where the environment says, else the settings, else where it is usual', async () => {
  await placeVit(workspace, 'process');
  expect(sessionPlace()).toBe('process');
  await changePreferences(workspace, { vit: 'thread' });
  await changePreferences(workspace, { threads: 1 });
  expect(await readPreferences(workspace)).toMatchObject({ threads: 1, vit: 'thread' });
  await placeVit(workspace, 'process');
  expect(sessionPlace()).toBe('thread');
  vi.stubEnv('SIDETUNE_VIT', 'process');
  await placeVit(workspace);
  expect(sessionPlace()).toBe('process');
  vi.stubEnv('SIDETUNE_VIT', 'elsewhere');
  await expect(placeVit(workspace)).rejects.toMatchObject({ code: 'usage' });
});
