import { analysis } from './analysis.ts';
import { backbones } from './backbones.ts';
import { datasets } from './datasets.ts';
import { nav, commands, common, jobs, folders } from './frame.ts';
import { run, exporting } from './run.ts';
import { runs } from './runs.ts';
import { settings } from './settings.ts';
import { start } from './start.ts';
import { sweeps } from './sweeps.ts';
import { train } from './train.ts';
import { trying } from './trying.ts';

/** Every word of the window, in one place: ready for translation. */
export const text = {
  product: 'Sidetune Studio',
  skip: 'Skip to the page',
  offline: 'The studio cannot be heard. It is tried again every second; nothing that runs is lost.',
  pageMissing:
    'This page could not be fetched: the studio cannot be heard, or it has changed since this window opened.',
  loadAgain: 'Load again',
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
