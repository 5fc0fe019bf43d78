import type { RunConfig } from '../../../src-main/training/run-folder.ts';
import { completeSettings } from '../../../src-main/training/settings.ts';

/** The config of a run that has not begun. */
export function someConfig(changes: Partial<RunConfig> & Pick<RunConfig, 'run'>): RunConfig {
  return {
    version: 1,
    created: '2026-01-01T01:00:00.000Z',
    dataset: 'signs',
    backbone: 'vit',
    backboneSha256: 'abc',
    data: { train: '', val: '', test: '' },
    classes: ['a', 'b'],
    parameters: 100,
    headParameters: 10,
    settings: completeSettings({ method: 'linear' }, { name: 'vit', blocks: 2, width: 192, prefix: 1 }),
    noTest: true,
    engine: 'compiled',
    device: 'cpu',
    threads: 1,
    stepForm: 'plain',
    microBatch: 8,
    scales: [],
    ...changes,
  };
}
