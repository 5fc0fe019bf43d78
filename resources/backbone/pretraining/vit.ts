/** The ViT that is pretrained, as TF.js functions: the architecture that `writePlainVit` writes. */
import {
  add,
  concat,
  customGrad,
  erf,
  exp,
  matMul,
  mul,
  ones,
  reshape,
  slice,
  square,
  tile,
  transpose,
  unstack,
  zeros,
  type Tensor,
  type Tensor2D,
  type Tensor3D,
} from '@tensorflow/tfjs-core';
import { attention } from '../../../src-main/methods/attention.ts';
import type { ParameterSpec } from '../../../src-main/methods/network.ts';
import { layerNorm } from '../../../src-main/methods/normalize.ts';

export interface VitShape {
  /** Width and height of the pictures, and of a patch, in pixels. */
  size: number;
  patch: number;
  width: number;
  blocks: number;
  heads: number;
}

/** The ViT that is shipped. */
export const SHAPES_VIT: VitShape = { size: 64, patch: 8, width: 96, blocks: 6, heads: 3 };

const EPSILON = 1e-6;

type Parameters = Readonly<Record<string, Tensor>>;

export function tokensOf({ size, patch }: VitShape): number {
  return (size / patch) ** 2 + 1;
}

/**
 * Every trained tensor, under the name that `writePlainVit` gives it; only `patch.weight` lies the other way,
 * [3 * patch * patch, width]. LayerNorms have no scale and shift of their own: the products after them contain both.
 */
export function vitParameters(shape: VitShape): ParameterSpec[] {
  const { patch, width, blocks } = shape;
  const linear = (name: string, from: number, to: number, gain = 1): ParameterSpec[] => [
    {
      name: `${name}.weight`,
      shape: [from, to],
      part: 'side',
      decay: true,
      initial: { deviation: gain * from ** -0.5 },
    },
    { name: `${name}.bias`, shape: [to], part: 'side', decay: false, initial: { value: 0 } },
  ];
  // What is added to the residual stream starts small, so that its variance does not grow with the blocks.
  const last = (2 * blocks) ** -0.5;
  return [
    ...linear('patch', 3 * patch * patch, width),
    { name: 'cls', shape: [1, 1, width], part: 'side', decay: false, initial: { deviation: 0.02 } },
    { name: 'position', shape: [1, tokensOf(shape), width], part: 'side', decay: false, initial: { deviation: 0.02 } },
    ...Array.from({ length: blocks }, (_, block) => [
      ...linear(`block${block}.attention.qkv`, width, 3 * width),
      ...linear(`block${block}.attention.out`, width, width, last),
      ...linear(`block${block}.mlp.fc1`, width, 4 * width),
      ...linear(`block${block}.mlp.fc2`, 4 * width, width, last),
    ]).flat(),
  ];
}

/**
 * Where the position embedding starts: sines and cosines of row and column (Vaswani et al., arXiv 1706.03762, 3.5, in
 * two dimensions), 0 for CLS. [tokens * width]
 */
export function sinePositions(shape: VitShape): Float32Array {
  const { size, patch, width } = shape;
  const grid = size / patch;
  const quarter = width / 4;
  const values = new Float32Array(tokensOf(shape) * width);
  for (let token = 0; token < grid * grid; token++) {
    for (let wave = 0; wave < quarter; wave++) {
      const frequency = 100 ** (-wave / quarter);
      [Math.floor(token / grid), token % grid].forEach((place, axis) => {
        const at = (token + 1) * width + 2 * axis * quarter + wave;
        values[at] = 0.5 * Math.sin(place * frequency);
        values[at + quarter] = 0.5 * Math.cos(place * frequency);
      });
    }
  }
  return values;
}

/**
 * The tokens after the final LayerNorm, [batch, tokens, width].
 * @param patches [batch, tokens - 1, 3 * patch * patch], channel by channel
 */
export function vitTokens(shape: VitShape, parameters: Parameters, patches: Tensor3D): Tensor3D {
  const { width, blocks } = shape;
  const [batch, count, pixels] = patches.shape;
  const linear = (name: string, x: Tensor2D): Tensor2D =>
    add(matMul(x, parameters[`${name}.weight`] as Tensor2D), parameters[`${name}.bias`]!);
  const embedded = reshape(linear('patch', reshape(patches, [batch * count, pixels])), [batch, count, width]);
  const cls = tile(parameters.cls!, [batch, 1, 1]);
  let state: Tensor2D = reshape(add(concat([cls, embedded], 1), parameters.position!), [-1, width]);
  for (let block = 0; block < blocks; block++) {
    const qkv = linear(`block${block}.attention.qkv`, normalized(state));
    state = add(state, linear(`block${block}.attention.out`, attend(shape, qkv)));
    const hidden = gelu(linear(`block${block}.mlp.fc1`, normalized(state)));
    state = add(state, linear(`block${block}.mlp.fc2`, hidden));
  }
  return reshape(normalized(state), [batch, count + 1, width]);
}

function normalized(x: Tensor2D): Tensor2D {
  const width = x.shape[1];
  return layerNorm(x, ones([width]), zeros([width]), EPSILON);
}

/** Multi-head attention of [batch * tokens, 3 * width], before its output projection. */
function attend(shape: VitShape, qkv: Tensor2D): Tensor2D {
  const { width, heads } = shape;
  const tokens = tokensOf(shape);
  const each = width / heads;
  const parts = transpose(reshape(qkv, [-1, tokens, 3, heads, each]), [2, 0, 3, 1, 4]);
  const [q, k, v] = unstack(reshape(parts, [3, -1, tokens, each])) as [Tensor3D, Tensor3D, Tensor3D];
  const attended = reshape(attention(q, k, v), [-1, heads, tokens, each]);
  return reshape(transpose(attended, [0, 2, 1, 3]), [-1, width]);
}

/** GELU (Hendrycks and Gimpel, arXiv 1606.08415): x * cdf(x), with the gradient cdf(x) + x * density(x). */
export function gelu(x: Tensor2D): Tensor2D {
  return customGrad((...args: unknown[]) => {
    const [input, save] = args as [Tensor2D, (tensors: Tensor[]) => void];
    const cdf = mul(add(erf(mul(input, Math.SQRT1_2)), 1), 0.5);
    save([input, cdf]);
    return {
      value: mul(input, cdf),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [at, below] = saved as [Tensor2D, Tensor2D];
        const density = mul(exp(mul(square(at), -0.5)), 1 / Math.sqrt(2 * Math.PI));
        return [mul(dy, add(below, mul(at, density)))];
      },
    };
  })(x) as Tensor2D;
}

/** The CLS row, [batch, width], and the patches' rows, [batch * patches, width]. */
export function splitTokens(tokens: Tensor3D): { cls: Tensor2D; patches: Tensor2D } {
  const width = tokens.shape[2];
  return {
    cls: reshape(slice(tokens, [0, 0, 0], [-1, 1, -1]), [-1, width]),
    patches: reshape(slice(tokens, [0, 1, 0], [-1, -1, -1]), [-1, width]),
  };
}
