/** Words of the page of backbones. */
export const backbones = {
  title: 'Backbones',
  add: 'Add an ONNX file',
  empty: 'No backbone yet',
  emptyLead:
    'A backbone is a plain Vision Transformer as ONNX: timm, DeiT, DINOv2, CLIP image encoders. Its blocks are found in the graph, whatever its nodes are called.',
  blocks: 'Blocks',
  width: 'Width',
  tokens: 'Tokens',
  prefix: 'Prefix tokens',
  heads: 'Heads',
  parameters: 'Parameters',
  input: 'Input',
  normalisation: 'Mean and deviation',
  damaged: 'Damaged',
} as const;
