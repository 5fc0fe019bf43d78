/** Writes a small plain pre-LN ViT, with random weights for tests or with given ones: the embedded backbone. */
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { DataType, encodeModel, floatTensor, int64Tensor, model, node, valueInfo } from '../engine/onnx/model.ts';
import type { Attribute } from '../engine/onnx/model.ts';
import type { NodeProto, TensorProto } from '../engine/onnx/onnx_pb.ts';

export interface PlainVitOptions {
  /** Side of the square images in pixels, a multiple of `patch`. */
  size?: number;
  patch?: number;
  /** Width of the residual stream, a multiple of `heads`. */
  width?: number;
  blocks?: number;
  heads?: number;
  seed?: number;
  /** With classes the output is `logits` from the CLS row, else `last_hidden_state`. */
  classes?: number;
  /** LayerNorm as one node, or as the parts that older exporters write. */
  norm?: 'fused' | 'decomposed';
  /** A fixed batch; symbolic by default. */
  batch?: number;
  /** In place of random ones: the values of every weight, and what the file's metadata says of them. */
  weights?: { of: GivenWeights; description: string };
}

/** The values of the weight of this name and shape. */
export type GivenWeights = (name: string, shape: readonly number[]) => Float32Array;

const EPSILON = 1e-6;

/**
 * An ONNX file (opset 17) of a ViT with CLS token, learnt position embedding, GELU MLPs of four times the width, input
 * `pixel_values` [batch, 3, size, size]. Unless given, the weights are random: its features are worth what random
 * features are. The same options give the same bytes on every machine. The default is 2.8 MB.
 */
export function writePlainVit(options: PlainVitOptions = {}): Uint8Array {
  const { size = 64, patch = 8, width = 96, blocks = 6, heads = 3, seed = 1, classes, batch } = options;
  if (size % patch !== 0) throw new RangeError(`size ${size} is no multiple of patch ${patch}`);
  if (width % heads !== 0) throw new RangeError(`width ${width} is no multiple of heads ${heads}`);
  const tokens = (size / patch) ** 2 + 1;
  const writer = new VitWriter(seed, width, heads, tokens, options.norm ?? 'fused', options.weights?.of);
  let state = writer.embed('pixel_values', patch);
  for (let block = 0; block < blocks; block++) state = writer.block(state, `block${block}`);
  const normed = writer.layerNorm(state, 'norm');
  const batchDimension = batch ?? 'batch';
  const output =
    classes === undefined
      ? valueInfo('last_hidden_state', DataType.FLOAT, [batchDimension, writer.tokens, width])
      : valueInfo('logits', DataType.FLOAT, [batchDimension, classes]);
  if (classes === undefined) writer.add('Identity', [normed], 'last_hidden_state');
  else writer.head(normed, classes);
  return encodeModel(
    model({
      name: 'plain_vit',
      nodes: writer.nodes,
      inputs: [valueInfo('pixel_values', DataType.FLOAT, [batchDimension, 3, size, size])],
      outputs: [output],
      initializers: writer.initializers,
      metadata: { weights: options.weights?.description ?? `random, seed ${seed}` },
    }),
  );
}

class VitWriter {
  readonly nodes: NodeProto[] = [];
  readonly initializers: TensorProto[] = [];
  private readonly named = new Set<string>();
  private readonly random: () => number;

  constructor(
    seed: number,
    private readonly width: number,
    private readonly heads: number,
    readonly tokens: number,
    private readonly norm: 'fused' | 'decomposed',
    private readonly given: GivenWeights | undefined,
  ) {
    this.random = nearlyNormal(seed);
  }

  add(opType: string, inputs: string[], output: string, attributes: Record<string, Attribute> = {}): string {
    this.nodes.push(node(opType, inputs, [output], attributes));
    return output;
  }

  /** Patches by convolution, CLS in front, position embedding on top. */
  embed(image: string, patch: number): string {
    const { width, tokens } = this;
    // Twice the fan-in's scale: pixels have about half of unit variance, and tokens should differ by more than position.
    const weight = this.weights('patch.weight', [width, 3, patch, patch], 2 / Math.sqrt(3 * patch * patch));
    const bias = this.weights('patch.bias', [width], 0.02);
    const stride = { kernel_shape: [patch, patch], strides: [patch, patch] };
    const grid = this.add('Conv', [image, weight, bias], 'patch.grid', stride);
    const rows = this.add('Reshape', [grid, this.integers('patch.shape', [0, width, -1])], 'patch.rows');
    const patches = this.add('Transpose', [rows], 'patch.tokens', { perm: [0, 2, 1] });
    const shape = this.add('Shape', [patches], 'cls.patches_shape');
    const batch = this.add('Gather', [shape, this.integers('zero', [0])], 'cls.batch', { axis: 0 });
    const target = this.add('Concat', [batch, this.integers('cls.row', [1, width])], 'cls.shape', { axis: 0 });
    const cls = this.add('Expand', [this.weights('cls', [1, 1, width], 0.3), target], 'cls.rows');
    const sequence = this.add('Concat', [cls, patches], 'sequence', { axis: 1 });
    return this.add('Add', [sequence, this.weights('position', [1, tokens, width], 0.3)], 'embedding');
  }

  block(state: string, name: string): string {
    const attention = this.attention(this.layerNorm(state, `${name}.norm1`), `${name}.attention`);
    const middle = this.add('Add', [state, attention], `${name}.middle`);
    const mlp = this.mlp(this.layerNorm(middle, `${name}.norm2`), `${name}.mlp`);
    return this.add('Add', [middle, mlp], `${name}.state`);
  }

  layerNorm(input: string, name: string): string {
    const scale = this.weights(`${name}.scale`, [this.width], 0.1, 1);
    const bias = this.weights(`${name}.bias`, [this.width], 0.1);
    if (this.norm === 'fused') {
      const attributes = { axis: -1, epsilon: { float: EPSILON } };
      return this.add('LayerNormalization', [input, scale, bias], `${name}.out`, attributes);
    }
    const mean = this.add('ReduceMean', [input], `${name}.mean`, { axes: [-1] });
    const centred = this.add('Sub', [input, mean], `${name}.centred`);
    const squares = this.add('Pow', [centred, this.scalar('two', 2)], `${name}.squares`);
    const variance = this.add('ReduceMean', [squares], `${name}.variance`, { axes: [-1] });
    const shifted = this.add('Add', [variance, this.scalar('epsilon', EPSILON)], `${name}.shifted`);
    const deviation = this.add('Sqrt', [shifted], `${name}.deviation`);
    const normed = this.add('Div', [centred, deviation], `${name}.normed`);
    const scaled = this.add('Mul', [normed, scale], `${name}.scaled`);
    return this.add('Add', [scaled, bias], `${name}.out`);
  }

  head(normed: string, classes: number): string {
    const row = this.add('Gather', [normed, this.integers('cls_row', [0], [])], 'head.row', { axis: 1 });
    const weight = this.weights('head.weight', [classes, this.width], 1 / Math.sqrt(this.width));
    const bias = this.weights('head.bias', [classes], 0.02);
    return this.add('Gemm', [row, weight, bias], 'logits', { transB: 1 });
  }

  private attention(input: string, name: string): string {
    const { width, heads, tokens } = this;
    // A gain of 1.5 on queries and keys: with less, random attention is close to a plain mean over the tokens.
    const qkv = this.linear(input, `${name}.qkv`, width, 3 * width, 1.5);
    const split = this.integers('attention.split', [0, tokens, 3, heads, width / heads]);
    const parts = this.add('Reshape', [qkv, split], `${name}.parts`);
    const swapped = this.add('Transpose', [parts], `${name}.swapped`, { perm: [2, 0, 3, 1, 4] });
    const part = (index: number, label: string): string =>
      this.add('Gather', [swapped, this.integers(`part${index}`, [index], [])], `${name}.${label}`, { axis: 0 });
    const scale = this.scalar('attention.scale', 1 / Math.sqrt(width / heads));
    const queries = this.add('Mul', [part(0, 'queries'), scale], `${name}.scaled_queries`);
    const keys = this.add('Transpose', [part(1, 'keys')], `${name}.turned_keys`, { perm: [0, 1, 3, 2] });
    const scores = this.add('MatMul', [queries, keys], `${name}.scores`);
    const shares = this.add('Softmax', [scores], `${name}.shares`, { axis: -1 });
    const mixed = this.add('MatMul', [shares, part(2, 'values')], `${name}.mixed`);
    const turned = this.add('Transpose', [mixed], `${name}.turned`, { perm: [0, 2, 1, 3] });
    const joined = this.integers('attention.joined', [0, tokens, width]);
    return this.linear(this.add('Reshape', [turned, joined], `${name}.joined`), `${name}.out`, width, width);
  }

  private mlp(input: string, name: string): string {
    const hidden = this.linear(input, `${name}.fc1`, this.width, 4 * this.width);
    const shrunk = this.add('Mul', [hidden, this.scalar('inverse_sqrt_two', Math.SQRT1_2)], `${name}.shrunk`);
    const erf = this.add('Erf', [shrunk], `${name}.erf`);
    const raised = this.add('Add', [erf, this.scalar('one', 1)], `${name}.raised`);
    const half = this.add('Mul', [hidden, this.scalar('half', 0.5)], `${name}.half`);
    const gelu = this.add('Mul', [half, raised], `${name}.gelu`);
    return this.linear(gelu, `${name}.fc2`, 4 * this.width, this.width);
  }

  private linear(input: string, name: string, from: number, to: number, gain = 1): string {
    const weight = this.weights(`${name}.weight`, [from, to], gain / Math.sqrt(from));
    const product = this.add('MatMul', [input, weight], `${name}.product`);
    return this.add('Add', [product, this.weights(`${name}.bias`, [to], 0.02)], `${name}.sum`);
  }

  private weights(name: string, shape: number[], deviation: number, mean = 0): string {
    const length = shape.reduce((product, dim) => product * dim, 1);
    const values = this.given
      ? this.given(name, shape)
      : Float32Array.from({ length }, () => mean + deviation * this.random());
    if (values.length !== length)
      throw new RangeError(`weight "${name}" was given ${values.length} values of ${length}`);
    this.initializers.push(floatTensor(name, shape, values));
    return name;
  }

  private scalar(name: string, value: number): string {
    return this.once(name, () => floatTensor(name, [], Float32Array.of(value)));
  }

  private integers(name: string, values: number[], shape?: number[]): string {
    return this.once(name, () => int64Tensor(name, values, shape));
  }

  private once(name: string, make: () => TensorProto): string {
    if (!this.named.has(name)) this.initializers.push(make());
    this.named.add(name);
    return name;
  }
}

/**
 * Numbers of mean 0 and variance 1, close to normal and within +-3.5: a sum of four uniforms. Only additions and one
 * product, so that every machine gets the same bits, which logarithms and cosines do not promise.
 */
function nearlyNormal(seed: number): () => number {
  const generator = xoroshiro128plus(seed);
  const scale = Math.sqrt(3) / 2 / 2 ** 31;
  return () => (generator.next() + generator.next() + generator.next() + generator.next()) * scale;
}
