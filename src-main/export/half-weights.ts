import { dimsOf, elementCount, tensorValues } from '../backbone/tensors.ts';
import { withGraph } from '../backbone/prune.ts';
import { floatsToHalves } from '../engine/half.ts';
import { DataType, node, tensor } from '../engine/onnx/model.ts';
import type { ModelProto, NodeProto, TensorProto } from '../engine/onnx/onnx_pb.ts';

const FLOAT: number = DataType.FLOAT;
/** Smaller tensors save nothing, and what must be exact (an epsilon, a mask's scale) is small. */
const SMALLEST = 256;
/** From here on float16 rounds to infinity. */
const TOO_LARGE = 65_520;
/** Before the names of halved weights. */
const HALF = 'adaptor/half/';

/**
 * A model whose matrices (and kernels, embeddings: all of two dimensions or more) are kept as float16, each followed by
 * a cast. So the file is half as large, while all arithmetic stays float32: nothing overflows that did not before,
 * normalisation, softmax and sums keep their digits, and the logits are the same on every machine, whether or not it
 * computes in half precision. onnxruntime casts once, as it opens the model. Vectors (biases, LayerNorms) stay float32.
 */
export function withHalfWeights(model: ModelProto): ModelProto {
  const { initializer = [], node: nodes = [] } = model.graph ?? {};
  const casts: NodeProto[] = [];
  const halved = (weights: TensorProto, name: string): TensorProto | undefined => {
    const half = halfOf(weights, `${HALF}${name}`);
    if (half) casts.push(node('Cast', [half.name], [name], { to: FLOAT }));
    return half;
  };
  const kept = initializer.map((weights) => halved(weights, weights.name) ?? weights);
  const constants: TensorProto[] = [];
  const rest = nodes.filter((each) => {
    const weights = each.opType === 'Constant' ? each.attribute.find(({ name }) => name === 'value')?.t : undefined;
    const half = weights && halved(weights, each.output[0]!);
    if (half) constants.push(half);
    return half === undefined;
  });
  return withGraph(model, { node: [...casts, ...rest], initializer: [...kept, ...constants] });
}

function halfOf(weights: TensorProto, name: string): TensorProto | undefined {
  const dims = dimsOf(weights);
  if (weights.dataType !== FLOAT || dims.length < 2 || elementCount(dims) < SMALLEST) return undefined;
  const values = tensorValues(weights);
  if (!values || values.some((value) => !(Math.abs(value) < TOO_LARGE))) return undefined;
  return tensor(name, dims, floatsToHalves(values), DataType.FLOAT16);
}
