/** Words of what is around every page. */
export const nav = {
  start: 'Start',
  datasets: 'Datasets',
  backbones: 'Backbones',
  train: 'Train',
  sweeps: 'Sweeps',
  runs: 'Runs',
  try: 'Try it',
  edge: 'Edge',
  settings: 'Settings',
} as const;

export const commands = {
  goTo: (page: string) => `Go to ${page}`,
  light: 'Light theme',
  dark: 'Dark theme',
  system: 'Theme as the system has it',
  shortcuts: 'Show all shortcuts',
  palette: 'Command palette',
  /** The button that shows it. */
  open: 'Commands',
  addDataset: 'Add a Dataset…',
  addBackbone: 'Add a Backbone…',
  /** Keys that are no command of the palette. */
  elsewhere: {
    'Ctrl K': 'Command palette',
    'Ctrl Enter': 'Start training, on the page Train',
    'Ctrl V': 'Try the copied picture, on the page Try it',
    Escape: 'Close a dialog',
  },
  search: 'Type a command',
  none: 'No command is called that.',
} as const;

export const common = {
  cancel: 'Cancel',
  close: 'Close',
  remove: 'Remove',
  undo: 'Undo',
  redo: 'Redo',
  choose: 'Choose',
  loading: 'Loading',
  of: (done: string, total: string) => `${done} of ${total}`,
  left: (time: string) => `${time} left`,
} as const;

export const jobs = {
  title: 'Running and waiting',
  kinds: {
    import: 'Importing',
    sample: 'Opening the sample',
    backbone: 'Adding backbone',
    train: 'Training',
    sweep: 'Sweeping',
    evaluate: 'Evaluating',
    export: 'Exporting',
    tradeoff: 'Accuracy against transfer',
    mlflow: 'Sending to MLflow',
  },
  states: {
    waiting: 'waiting',
    running: 'running',
    done: 'done',
    failed: 'failed',
    stopped: 'stopped',
    paused: 'paused',
    interrupted: 'interrupted when the studio was closed',
  },
  pause: 'Pause',
  resume: 'Resume',
  stop: 'Stop',
  dismiss: 'Dismiss',
} as const;

export const folders = {
  title: 'Choose a folder',
  titleFile: 'Choose a file',
  path: 'Path',
  up: 'Up',
  open: 'Open',
  here: 'Use this folder',
  empty: 'This folder is empty.',
  cut: 'Only the first 2,000 entries are shown.',
} as const;
