/** Words of the start page. */
export const start = {
  title: 'Start',
  lead: 'Make a big pretrained Vision Transformer learn your images, on this machine. Three steps:',
  welcome: 'Drop a folder of images here',
  welcomeLead:
    'One folder a class: that is all. Your files are only read, and nothing leaves this machine. No images at hand? The sample has 2,000 pictures of hearts in 16 directions, drawn here in a moment.',
  steps: [
    ['A folder of labelled images', 'One folder a class. Your files are only read.'],
    ['A backbone', 'A plain ViT as ONNX. It stays frozen: it looks at each image once.'],
    ['Train', 'A small network beside it learns in minutes, and leaves as an ONNX file.'],
  ],
  addDataset: 'Add images',
  sample: 'Open the sample',
  addBackbone: 'Add a backbone',
  train: 'Train',
  recentDatasets: 'Datasets',
  allDatasets: 'All datasets',
  recent: 'Recent runs',
  machine: 'This machine',
  noRuns: 'Nothing was trained yet.',
} as const;
