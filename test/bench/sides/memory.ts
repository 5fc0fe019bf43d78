// usage: memory.ts --images N
// An epoch of LAST by a trainer in its own process, on so many cached images of 17 tokens, width 192: the trainer's
// peak of resident memory. Threads come from BENCH_THREADS.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildNetwork, type FrozenFacts } from '../../../src-main/training/build-network.ts';
import { defaultMicroBatch } from '../../../src-main/training/micro-batch.ts';
import { ParameterLayout } from '../../../src-main/training/parameters.ts';
import type { RunConfig } from '../../../src-main/training/run-folder.ts';
import { completeSettings } from '../../../src-main/training/settings.ts';
import { trainInProcess } from '../../../src-main/training/start-trainer.ts';
import { writeRandomFeatures } from '../random-features.ts';
import { CLASSES, GROUPS } from '../shapes.ts';

const { values } = parseArgs({ options: { images: { type: 'string', default: '1000' } } });
const [images, threads] = [Number(values.images), Number(process.env.BENCH_THREADS ?? 2)];
const layout = { tokens: 17, width: 192, prefix: 1 };
const norm = { scale: new Float32Array(layout.width).fill(1), shift: new Float32Array(layout.width), epsilon: 1e-6 };
const frozen: FrozenFacts = { layout, blocks: GROUPS, norm, classes: CLASSES };
const settings = completeSettings({ method: 'last', epochs: 1 }, { name: 'random', blocks: GROUPS, ...layout });
const network = buildNetwork(settings, frozen, 'plain');
const parameters = new ParameterLayout(network.parameters);

const folder = await mkdtemp(join(tmpdir(), 'memory-'));
try {
  const features = await writeRandomFeatures(folder, layout, network.maps, images);
  const config: RunConfig = {
    version: 1,
    run: 'memory',
    created: new Date().toISOString(),
    dataset: 'random',
    backbone: 'random',
    backboneSha256: '',
    data: { train: '', val: '', test: '' },
    classes: Array.from({ length: CLASSES }, (_, index) => String(index)),
    parameters: parameters.count('side'),
    headParameters: parameters.count('head'),
    settings,
    noTest: true,
    engine: 'compiled',
    device: 'cpu',
    threads,
    stepForm: 'plain',
    microBatch: defaultMicroBatch(layout, network.maps.length, settings.batch, threads),
    scales: network.maps.map(() => 1),
  };
  const labels = Array.from({ length: images }, (_, image) => image % CLASSES);
  const train = { features, labels };
  const { seconds, peakRssBytes } = await trainInProcess({
    ...{ config, folder, frozen, train, val: null, test: null, resume: false },
  });
  console.log(JSON.stringify({ ms: [1000 * seconds], peakRssBytes, images }));
} finally {
  await rm(folder, { recursive: true });
}
