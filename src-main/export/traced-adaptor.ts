import { floatTensor } from '../engine/onnx/model.ts';
import type { NodeProto, TensorProto } from '../engine/onnx/onnx_pb.ts';
import type { Program, TensorSpec } from '../engine/program.ts';
import { SYMBOLIC_BATCH, trace } from '../engine/trace/trace.ts';
import type { Network, TokenLayout } from '../methods/network.ts';
import { ParameterLayout } from '../training/parameters.ts';
import { featuresOf } from '../training/programs.ts';

/** Name of the one output of every exported model, float32 [batch, classes]. */
export const LOGITS = 'logits';

/** A trained side network, ready to be written down. */
export interface TrainedNetwork {
  /** In the plain form: the low-rank one reads row sums, which an export does not carry. */
  network: Network;
  /** All parameters as one vector, in the order of `ParameterLayout`. */
  parameters: Float32Array;
  layout: TokenLayout;
  /** Power of two by which each stored map was divided, in the network's order. */
  scales: readonly number[];
}

/** Names that the graph around it gives to what the network reads. */
export interface AdaptorNames {
  /** One float16 value [batch, tokens, width] for each of the network's maps, as stored. */
  maps: readonly string[];
  /** Float32 [batch, width]; unread by a network that uses no base. */
  base: string;
  /** Put before every other name. */
  prefix: string;
  opset: number;
}

/** Nodes and constants of a network; reads the values of `AdaptorNames`, makes `LOGITS`. */
export interface TracedAdaptor {
  nodes: NodeProto[];
  initializers: TensorProto[];
}

/**
 * Traces a network without gradient, its trained parameters as initializers named as the method names them, for a
 * batch of any size. The initializers share memory with `parameters`.
 * @throws RangeError when the vector or the scales do not fit the network; TraceError as `trace`.
 */
export async function traceAdaptor(trained: TrainedNetwork, names: AdaptorNames): Promise<TracedAdaptor> {
  const { network, parameters, layout, scales } = trained;
  const placed = new ParameterLayout(network.parameters);
  if (parameters.length !== placed.size)
    throw new RangeError(`The network has ${placed.size} parameters; ${parameters.length} were given.`);
  if (scales.length !== network.maps.length)
    throw new RangeError(`The network reads ${network.maps.length} maps; ${scales.length} scales were given.`);

  const weights = placed.parameters.map(({ name }) => ({ name, own: `${names.prefix}${name}` }));
  const inputs: Record<string, TensorSpec> = {};
  placed.parameters.forEach(({ shape }, index) => (inputs[weights[index]!.own] = { shape, storage: 'float32' }));
  const map: TensorSpec = { shape: [SYMBOLIC_BATCH, layout.tokens, layout.width], storage: 'float16' };
  for (const name of names.maps) inputs[name] = map;
  if (network.usesBase) inputs[names.base] = { shape: [SYMBOLIC_BATCH, layout.width], storage: 'float32' };

  const program: Program = {
    inputs,
    run: (given) => {
      const features = Object.fromEntries(names.maps.map((name, index) => [`map_${index}`, given[name]!]));
      if (network.usesBase) features.base = given[names.base]!;
      const shape = { batch: SYMBOLIC_BATCH, layout, scales, rowSums: false, dropPath: false };
      const named = Object.fromEntries(weights.map(({ name, own }) => [name, given[own]!]));
      return { [LOGITS]: network.logits(named, featuresOf(network, shape, features)) };
    },
  };
  const { model } = await trace(program, { opset: names.opset, prefix: names.prefix });
  const graph = model.graph!;
  // Parameters are traced as inputs and put in afterwards: so each keeps its name and its shape, whatever its values.
  const values = placed.views(parameters);
  const trainedWeights = placed.parameters.map(({ name, shape }) =>
    floatTensor(`${names.prefix}${name}`, shape, values[name]!),
  );
  return { nodes: graph.node, initializers: [...trainedWeights, ...graph.initializer] };
}
