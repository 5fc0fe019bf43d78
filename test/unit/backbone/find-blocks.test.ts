import { describe, expect, it } from 'vitest';
import { findBlocks } from '../../../src-main/backbone/find-blocks.ts';
import { writePlainVit } from '../../../src-main/backbone/plain-vit.ts';
import type { PlainVitOptions } from '../../../src-main/backbone/plain-vit.ts';
import { Failure } from '../../../src-main/base/failure.ts';
import { DataType, decodeModel, node, valueInfo } from '../../../src-main/engine/onnx/model.ts';
import type { GraphProto, ModelProto, NodeProto } from '../../../src-main/engine/onnx/onnx_pb.ts';

const small: PlainVitOptions = { size: 16, patch: 4, width: 12, blocks: 3, heads: 2, seed: 5 };

function vit(options: PlainVitOptions = {}): { model: ModelProto; graph: GraphProto } {
  const model = decodeModel(writePlainVit({ ...small, ...options }));
  if (!model.graph) throw new Error('no graph');
  return { model, graph: model.graph };
}

function nodeOf(graph: GraphProto, output: string): NodeProto {
  const found = graph.node.find((each) => each.output[0] === output);
  if (!found) throw new Error(`no node makes ${output}`);
  return found;
}

function failureOf(run: () => unknown): Failure {
  try {
    run();
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error('no failure');
}

describe.each(['fused', 'decomposed'] as const)('a plain ViT with %s LayerNorms', (norm) => {
  it('is read whole', () => {
    const { model } = vit({ norm });
    const { finalNorm, input, ...rest } = findBlocks(model);
    expect(rest).toEqual({
      imageHeight: 16,
      imageWidth: 16,
      patchSize: 4,
      blocks: 3,
      width: 12,
      tokens: 17,
      prefix: 1,
      heads: 2,
      parameters: 12 * 48 + 12 + 12 + 17 * 12 + 3 * (12 * 144 + 13 * 12) + 2 * 12,
      states: ['embedding', 'block0.state', 'block1.state', 'block2.state'],
      precision: 'float32',
      logits: null,
    });
    expect(input).toMatchObject({ name: 'pixel_values', batch: null, batchSymbol: 'batch', height: 16, width: 16 });
    expect(finalNorm).toMatchObject({ input: 'block2.state', output: 'norm.out', epsilon: Math.fround(1e-6) });
    expect(finalNorm.scale).toHaveLength(12);
    expect(finalNorm.scale.every((value) => value > 0.5 && value < 1.5)).toBe(true);
    expect(finalNorm.bias.every((value) => Math.abs(value) < 0.5)).toBe(true);
  });

  it('is read the same whatever its values are called and in whatever order its Adds are written', () => {
    const { model, graph } = vit({ norm, classes: 7 });
    const plain = findBlocks(model);
    const alias = new Map<string, string>();
    const renamed = (name: string): string => {
      if (name === '') return name;
      if (!alias.has(name)) alias.set(name, `v${alias.size}`);
      return alias.get(name) ?? '';
    };
    for (const each of graph.node) {
      each.name = '';
      each.input = each.input.map(renamed);
      each.output = each.output.map(renamed);
      if (each.opType === 'Add') each.input.reverse();
    }
    for (const each of [...graph.input, ...graph.output, ...graph.initializer]) each.name = renamed(each.name);
    const found = findBlocks(model);
    expect(found.states).toEqual(plain.states.map(renamed));
    expect(found.finalNorm.output).toBe(renamed('norm.out'));
    expect(found.finalNorm.scale).toEqual(plain.finalNorm.scale);
    expect(found.logits).toEqual({ name: renamed('logits'), classes: 7 });
    expect([found.heads, found.tokens, found.prefix]).toEqual([2, 17, 1]);
  });
});

describe('variants of a plain ViT', () => {
  it('finds classes and a fixed batch', () => {
    const found = findBlocks(vit({ classes: 5, batch: 2 }).model);
    expect(found.logits).toEqual({ name: 'logits', classes: 5 });
    expect(found.input).toMatchObject({ batch: 2, batchSymbol: null });
  });

  it('takes an image size that the file leaves open from the position embedding', () => {
    const { model, graph } = vit();
    graph.input = [valueInfo('pixel_values', DataType.FLOAT, ['batch', 'channels', 'height', 'width'])];
    expect(findBlocks(model)).toMatchObject({ imageHeight: 16, imageWidth: 16, tokens: 17, prefix: 1 });
  });

  it('does not take a position embedding that depends on the tokens’ shape for a residual', () => {
    const { model, graph } = vit();
    const add = nodeOf(graph, 'embedding');
    const at = graph.node.indexOf(add);
    graph.node.splice(
      at,
      0,
      node('Shape', ['sequence'], ['sequence_shape']),
      node('Expand', ['position', 'sequence_shape'], ['position_here']),
    );
    add.input = ['sequence', 'position_here'];
    expect(findBlocks(model).states[0]).toBe('embedding');
  });

  it('passes by pooling between the last block and its LayerNorm', () => {
    const { model, graph } = vit({ classes: 5 });
    const norm = nodeOf(graph, 'norm.out');
    const row = nodeOf(graph, 'head.row');
    row.input[0] = 'block2.state';
    norm.input[0] = 'head.row';
    nodeOf(graph, 'logits').input[0] = 'norm.out';
    graph.node.splice(graph.node.indexOf(row), 1);
    graph.node.splice(graph.node.indexOf(norm), 0, row);
    const found = findBlocks(model);
    expect(found.states.at(-1)).toBe('block2.state');
    expect(found.finalNorm.input).toBe('head.row');
  });
});

describe('refusals', () => {
  it('names an input that is no image', () => {
    const { model, graph } = vit();
    graph.input = [valueInfo('pixel_values', DataType.FLOAT, ['batch', 1, 16, 16])];
    const { code, message } = failureOf(() => findBlocks(model));
    expect(code).toBe('backbone-input');
    expect(message).toContain('float images [N, 3, H, W], was looked for');
    expect(message).toContain('"pixel_values" is float [batch, 1, 16, 16]');
    graph.input = [
      valueInfo('pixel_values', DataType.FLOAT, ['b', 3, 16, 16]),
      valueInfo('ids', DataType.INT64, ['b', 7]),
    ];
    expect(failureOf(() => findBlocks(model)).message).toContain(
      '2 were found ("pixel_values", "ids"): it holds a text encoder beside',
    );
  });

  it('says that no LayerNorm was found', () => {
    const { model, graph } = vit();
    for (const each of graph.node) if (each.opType === 'LayerNormalization') each.opType = 'LpNormalization';
    expect(failureOf(() => findBlocks(model))).toMatchObject({
      code: 'backbone-not-vit',
      message: expect.stringContaining('A final LayerNorm was looked for') as string,
    });
  });

  it('counts the residual Adds when they do not pair up', () => {
    const { model, graph } = vit();
    nodeOf(graph, 'norm.out').input[0] = 'block2.middle';
    expect(failureOf(() => findBlocks(model)).message).toContain(
      'the last one found is that of the MLP in block 3: the model is cut short',
    );
    nodeOf(graph, 'block0.middle').opType = 'Mul';
    nodeOf(graph, 'norm.out').input[0] = 'block2.state';
    expect(failureOf(() => findBlocks(model)).message).toContain(
      'and 5 were found under the 7 LayerNorms, with more attention below',
    );
  });

  it('names the block without attention', () => {
    const { model, graph } = vit();
    nodeOf(graph, 'block1.attention.shares').opType = 'Relu';
    expect(failureOf(() => findBlocks(model)).message).toContain(
      'In block 2 of 3 attention (a Softmax) was looked for in the first residual, and none was found',
    );
  });

  it('refuses branches that read the state past their LayerNorm', () => {
    const { model, graph } = vit();
    nodeOf(graph, 'block1.mlp.fc1.product').input[0] = 'block1.middle';
    expect(failureOf(() => findBlocks(model)).message).toContain(
      'In block 2 of 3 a LayerNorm was looked for in front of the MLP, and none was found',
    );
  });

  it('refuses overlapping patches', () => {
    const { model, graph } = vit();
    const strides = nodeOf(graph, 'patch.grid').attribute.find(({ name }) => name === 'strides');
    if (strides) strides.ints = [2n, 2n];
    expect(failureOf(() => findBlocks(model)).message).toContain('kernel [4, 4] and strides [2, 2]');
  });

  it('refuses an empty model', () => {
    expect(failureOf(() => findBlocks(decodeModel(new Uint8Array()))).code).toBe('backbone-not-onnx');
  });
});
