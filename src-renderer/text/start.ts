/** Words of the start page. */
export const start = {
  title: 'Start',
  lead: 'Make a big pretrained Vision Transformer learn your images, on this machine. Three steps:',
  steps: [
    ['A folder of labelled images', 'One folder a class. Your files are only read.'],
    ['A backbone', 'A plain ViT as ONNX. It stays frozen: it looks at each image once.'],
    ['Train', 'A small network beside it learns in minutes, and leaves as an ONNX file.'],
  ],
  addDataset: 'Add images',
  addBackbone: 'Add a backbone',
  train: 'Train',
  recent: 'Recent runs',
  machine: 'This machine',
  noRuns: 'Nothing was trained yet.',
} as const;
