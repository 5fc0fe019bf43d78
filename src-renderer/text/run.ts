/** Words of the page of a run, and of its export. */
export const run = {
  loss: 'Loss',
  top1: 'Top-1',
  train: 'train',
  val: 'val',
  speed: 'Images per second',
  memory: 'Memory of the training process',
  epoch: 'epoch',
  best: 'Best',
  bestOf: (best: number, all: number) => `epoch ${best} of ${all}`,
  resume: 'Resume',
  pause: 'Pause',
  stop: 'Stop',
  evaluate: 'Evaluate',
  export: 'Export',
  savePng: 'Save as PNG',
  saveCsv: 'Save as CSV',
  settings: 'Settings',
  confusion: 'Confusion',
  perClass: 'By class',
  actual: 'actual',
  predicted: 'predicted',
  exported: 'Exported',
  parity: (images: number, difference: string, changes: number) =>
    `Compared with the app on ${images} images: largest difference of a logit ${difference}, top-1 changed on ${changes}.`,
  notYet: 'Nothing to draw yet: the first epoch is on its way.',
} as const;

export const exporting = {
  title: 'Export as ONNX',
  form: 'What',
  forms: {
    both: ['Both', 'for either use'],
    merged: ['Merged', 'takes pixels: the ViT and the network in one file'],
    adaptor: ['Adaptor', 'takes features: for a device that does not run the ViT'],
  },
  half: 'Half precision',
  halfWords: 'half the size; logits within 1 % of the largest',
  folder: 'Folder',
  usual: 'exports, in the workspace',
  start: 'Export',
} as const;
