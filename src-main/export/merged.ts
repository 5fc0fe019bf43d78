import { create } from '@bufbuild/protobuf';
import { valuesReadBy } from '../backbone/graph.ts';
import type { VitStructure } from '../backbone/find-blocks.ts';
import { keepOutputs, withGraph } from '../backbone/prune.ts';
import { addTaps, BASE_CLS, BASE_MEAN, mapValues, type MapStorage } from '../backbone/surgery.ts';
import { Failure } from '../base/failure.ts';
import { DataType, floatTensor, IR_VERSION, node, valueInfo, type Dimension } from '../engine/onnx/model.ts';
import { OperatorSetIdProtoSchema, StringStringEntryProtoSchema } from '../engine/onnx/onnx_pb.ts';
import type { GraphProto, ModelProto, NodeProto } from '../engine/onnx/onnx_pb.ts';
import type { Network, Pool } from '../methods/network.ts';
import { classesOf, mapMetadata } from './adaptor.ts';
import { joinedOpset } from './opset.ts';
import { renameDimension, renameValues } from './rename-values.ts';
import { LOGITS, traceAdaptor } from './traced-adaptor.ts';

export const PIXELS = 'pixel_values';

const FLOAT: number = DataType.FLOAT;
const PREFIX = 'adaptor/';
const BACKBONE = 'backbone/';
const BATCH = 'batch';

export interface MergedOptions {
  /** The frozen ViT as it was added; left as it is, weights shared. */
  backbone: ModelProto;
  structure: VitStructure;
  /** In the plain form. */
  network: Network;
  /** What the network's base vectors are. */
  pool: Pool;
  /** All parameters as one vector, in the order of `ParameterLayout`. */
  parameters: Float32Array;
  /** Power of two by which each map is divided before it is rounded, in the network's order. */
  scales: readonly number[];
  /** How the maps that the network was trained on were rounded. Default: fp16. */
  storage?: MapStorage;
  metadata?: Readonly<Record<string, string>>;
}

/**
 * Frozen ViT and side network as one ONNX model. Input: `pixel_values` float32 [batch, 3, height, width], already
 * normalised; output: `logits` float32 [batch, classes]. The batch is symbolic where the backbone's is. The maps are
 * divided by their scale, rounded and read back, as the feature cache does it; the base is not rounded.
 * @throws Failure `backbone-opset`, `backbone-names`, or `bad-map`.
 */
export async function mergedModel(options: MergedOptions): Promise<ModelProto> {
  const { backbone, structure, network, pool, parameters, scales, metadata } = options;
  const opset = joinedOpset(backbone);
  const maps = network.maps.map(mapValues);
  const base = pool === 'cls' ? BASE_CLS : BASE_MEAN;
  const front = tappedGraph(options, base);
  const { tokens, width, prefix } = structure;
  const traced = await traceAdaptor(
    { network, parameters, scales, layout: { tokens, width, prefix } },
    { maps: maps.map(({ map }) => map), base, prefix: PREFIX, opset },
  );
  checkNames(front);
  const batch = structure.input.batch ?? BATCH;
  const joined = withGraph(backbone, {
    ...front,
    name: 'merged',
    node: [...front.node, ...traced.nodes],
    initializer: [
      ...front.initializer,
      ...maps.map(({ scale }, index) => floatTensor(scale, [], Float32Array.of(scales[index]!))),
      ...traced.initializers,
    ],
  });
  return {
    ...keepOutputs(joined, [valueInfo(LOGITS, DataType.FLOAT, [batch, classesOf(network)])]),
    irVersion: backbone.irVersion > IR_VERSION ? backbone.irVersion : BigInt(IR_VERSION),
    opsetImport: [
      create(OperatorSetIdProtoSchema, { domain: '', version: BigInt(opset) }),
      ...backbone.opsetImport.filter(({ domain }) => domain !== '' && domain !== 'ai.onnx'),
    ],
    producerName: 'sidetune',
    producerVersion: '',
    docString: '',
    metadataProps: [
      ...Object.entries({ ...metadata, ...mapMetadata(network.maps, scales) }),
      ...backbone.metadataProps.map(({ key, value }) => [`${BACKBONE}${key}`, value] as const),
    ].map(([key, value]) => create(StringStringEntryProtoSchema, { key, value })),
  };
}

/** From `pixel_values` to the values that the network reads; the maps' scales are read, not yet made. */
function tappedGraph({ backbone, structure, network, storage }: MergedOptions, base: string): GraphProto {
  const tapped = addTaps(backbone, structure, { maps: network.maps, storage, base: network.usesBase });
  const read = new Set(network.maps.map((map) => mapValues(map).map));
  if (network.usesBase) read.add(base);
  const outputs = tapped.graph!.output.filter(({ name }) => read.has(name));
  if (outputs.length !== read.size) throw new RangeError(`The backbone has no ${base}.`);
  // Without the backbone's head, its row sums and whatever else the network does not read.
  const graph = keepOutputs(tapped, outputs).graph!;

  const { input, imageHeight, imageWidth } = structure;
  const isFloat32 = input.dataType === FLOAT;
  const image = isFloat32 ? PIXELS : `${BACKBONE}cast_${PIXELS}`;
  const own = new Map([PIXELS, LOGITS].map((name) => [name, `${BACKBONE}${name}`]));
  const renamed = renameValues(graph, own.set(input.name, image));
  const cast: NodeProto[] = isFloat32 ? [] : [node('Cast', [PIXELS], [image], { to: input.dataType })];
  const shape: Dimension[] = [input.batch ?? BATCH, 3, imageHeight, imageWidth];
  // What the network reads is described too: who cuts the model there need not infer its type.
  const described = [...renamed.valueInfo, ...renamed.output];
  return {
    ...renamed,
    node: [...cast, ...renamed.node],
    input: [valueInfo(PIXELS, DataType.FLOAT, shape)],
    valueInfo: input.batchSymbol ? renameDimension(described, input.batchSymbol, BATCH) : described,
  };
}

function checkNames(front: GraphProto): void {
  const taken = [
    ...front.initializer.map(({ name }) => name),
    ...front.node.flatMap((each) => [...each.output, ...valuesReadBy(each)]),
  ];
  const clash = taken.find((name) => name === LOGITS || name.startsWith(PREFIX));
  if (clash !== undefined)
    throw new Failure(
      'backbone-names',
      `The backbone already has a value named "${clash}", which is kept for the adaptor; export the backbone again from the framework it came from.`,
    );
}
