import { mapName } from '../backbone/surgery.ts';
import { DataType, int64Tensor, model, node, OPSET, valueInfo } from '../engine/onnx/model.ts';
import type { NodeProto, TensorProto, ValueInfoProto } from '../engine/onnx/onnx_pb.ts';
import type { ModelProto } from '../engine/onnx/onnx_pb.ts';
import type { BaseMap, Network } from '../methods/network.ts';
import { LOGITS, traceAdaptor, type TrainedNetwork } from './traced-adaptor.ts';

export const FEATURES = 'features';
export const BASE = 'base';

export interface AdaptorOptions extends TrainedNetwork {
  metadata?: Readonly<Record<string, string>>;
}

/**
 * The side network alone as an ONNX model: what runs on the device while the frozen ViT stays elsewhere.
 *
 * Inputs, each only where the network reads it: `features` float16 [batch, maps, tokens, width], the stored maps (map /
 * scale; the scales are constants of the graph), and `base` float32 [batch, width], z_L pooled, before the final
 * LayerNorm. Output: `logits` float32 [batch, classes]. The batch is symbolic.
 * @throws RangeError when parameters or scales do not fit the network.
 */
export async function adaptorModel(options: AdaptorOptions): Promise<ModelProto> {
  const { network, layout, scales, metadata } = options;
  const maps = network.maps.map((_, index) => `map_${index}`);
  const traced = await traceAdaptor(options, { maps, base: BASE, prefix: '', opset: OPSET });
  const inputs: ValueInfoProto[] = [];
  const nodes: NodeProto[] = [];
  const indices: TensorProto[] = [];
  if (maps.length > 0) {
    inputs.push(valueInfo(FEATURES, DataType.FLOAT16, ['batch', maps.length, layout.tokens, layout.width]));
    maps.forEach((map, index) => {
      indices.push(int64Tensor(`${map}_index`, [index], []));
      nodes.push(node('Gather', [FEATURES, `${map}_index`], [map], { axis: 1 }));
    });
  }
  if (network.usesBase) inputs.push(valueInfo(BASE, DataType.FLOAT, ['batch', layout.width]));
  return model({
    name: 'adaptor',
    nodes: [...nodes, ...traced.nodes],
    inputs,
    outputs: [valueInfo(LOGITS, DataType.FLOAT, ['batch', classesOf(network)])],
    initializers: [...traced.initializers, ...indices],
    metadata: { ...metadata, ...mapMetadata(network.maps, scales) },
  });
}

/** Number of classes of a network. */
export function classesOf(network: Network): number {
  const bias = network.parameters.find(({ name }) => name === 'head.bias');
  if (!bias) throw new Error('The network has no head.bias to tell its classes by.');
  return bias.shape[0]!;
}

/** Which maps a model reads and by what each is divided, as JSON lists. */
export function mapMetadata(maps: readonly BaseMap[], scales: readonly number[]): Record<string, string> {
  return { maps: JSON.stringify(maps.map(mapName)), scales: JSON.stringify(scales) };
}
