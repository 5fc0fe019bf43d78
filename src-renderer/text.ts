import { analysis } from './text/analysis.ts';
import { backbones } from './text/backbones.ts';
import { datasets } from './text/datasets.ts';
import { nav, commands, common, jobs, folders } from './text/frame.ts';
import { run, exporting } from './text/run.ts';
import { runs } from './text/runs.ts';
import { settings } from './text/settings.ts';
import { start } from './text/start.ts';
import { sweeps } from './text/sweeps.ts';
import { train } from './text/train.ts';
import { trying } from './text/trying.ts';

/** Every word of the window, in one place: ready for translation. */
export const text = {
  product: 'Sidetune Studio',
  skip: 'Skip to the page',
  offline: 'The studio cannot be heard. It is tried again every second; nothing that runs is lost.',
  nav,
  commands,
  common,
  jobs,
  start,
  folders,
  datasets,
  backbones,
  train,
  runs,
  sweeps,
  run,
  analysis,
  exporting,
  trying,
  settings,
} as const;
