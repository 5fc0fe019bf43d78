import { buildNetwork, type FrozenFacts } from '../../src-main/training/build-network.ts';
import type { TrainingJob } from '../../src-main/training/job.ts';
import { defaultMicroBatch } from '../../src-main/training/micro-batch.ts';
import { ParameterLayout } from '../../src-main/training/parameters.ts';
import { completeSettings, type SettingsChoice } from '../../src-main/training/settings.ts';
import { writeRandomFeatures } from './random-features.ts';
import { CLASSES, GROUPS } from './shapes.ts';

const layout = { tokens: 17, width: 192, prefix: 1 };

/** LAST with some settings on cached random features, 17 tokens of width 192, without a val split. */
export async function randomJob(
  folder: string,
  images: number,
  threads: number,
  choice: Partial<SettingsChoice>,
): Promise<TrainingJob> {
  const norm = { scale: new Float32Array(layout.width).fill(1), shift: new Float32Array(layout.width), epsilon: 1e-6 };
  const frozen: FrozenFacts = { layout, blocks: GROUPS, norm, classes: CLASSES };
  const settings = completeSettings({ method: 'last', ...choice }, { name: 'random', blocks: GROUPS, ...layout });
  const network = buildNetwork(settings, frozen, 'plain');
  const parameters = new ParameterLayout(network.parameters);
  const features = await writeRandomFeatures(folder, layout, network.maps, images);
  return {
    config: {
      version: 1,
      run: 'random',
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
    },
    folder,
    frozen,
    train: { features, labels: Array.from({ length: images }, (_, image) => image % CLASSES) },
    val: null,
    test: null,
    resume: false,
  };
}
