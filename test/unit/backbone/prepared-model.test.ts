import { describe, expect, it } from 'vitest';
import { inOrder } from '../../../src-main/backbone/in-order.ts';
import { withoutSkipNorms } from '../../../src-main/backbone/unfuse.ts';
import { DataType, model, node, valueInfo } from '../../../src-main/engine/onnx/model.ts';
import type { ModelProto, NodeProto } from '../../../src-main/engine/onnx/onnx_pb.ts';

const graphOf = (nodes: NodeProto[]): ModelProto =>
  model({
    name: 'graph',
    inputs: [valueInfo('x', DataType.FLOAT, ['batch', 3, 4])],
    outputs: [valueInfo('y', DataType.FLOAT, ['batch', 3, 4])],
    initializers: [],
    nodes,
  });

const words = ({ graph }: ModelProto): string[] =>
  (graph?.node ?? []).map(({ opType, input, output }) => `${opType}(${input.join(', ')}) -> ${output.join(', ')}`);

describe('inOrder', () => {
  it('puts makers before readers and leaves the rest where it is', () => {
    const late = graphOf([
      node('Relu', ['x'], ['a']),
      node('Add', ['c', 'b'], ['y']),
      node('Abs', ['a'], ['b']),
      node('Neg', ['b'], ['c']),
      node('Exp', ['a'], ['unused']),
    ]);
    const sorted = ['Relu(x) -> a', 'Abs(a) -> b', 'Neg(b) -> c', 'Add(c, b) -> y', 'Exp(a) -> unused'];
    expect(words(inOrder(late))).toEqual(sorted);
    expect(words(inOrder(inOrder(late)))).toEqual(sorted);
  });

  it('ends on a graph that goes in a circle', () => {
    const circle = graphOf([node('Relu', ['b'], ['a']), node('Abs', ['a'], ['b']), node('Neg', ['b'], ['y'])]);
    expect(words(inOrder(circle))).toHaveLength(3);
  });
});

describe('withoutSkipNorms', () => {
  const fused = (inputs: string[], outputs: string[]): NodeProto =>
    node('SkipLayerNormalization', inputs, outputs, { epsilon: { float: 0.5 } }, 'com.microsoft');

  it('names the sums, whichever input the branch is, and gives the branch the bias', () => {
    const taken = withoutSkipNorms(
      graphOf([
        node('Relu', ['x'], ['branch']),
        fused(['branch', 'x', 'scale', 'shift', 'bias'], ['n1', '', '', 'z1']),
        node('Abs', ['n1'], ['mlp']),
        fused(['z1', 'mlp', 'scale', 'shift'], ['y']),
      ]),
    );
    expect(words(taken)).toEqual([
      'Relu(x) -> branch',
      'Add(branch, bias) -> n1/biased',
      'Add(x, n1/biased) -> z1',
      'LayerNormalization(z1, scale, shift) -> n1',
      'Abs(n1) -> mlp',
      'Add(z1, mlp) -> y/sum',
      'LayerNormalization(y/sum, scale, shift) -> y',
    ]);
    const norm = taken.graph?.node.at(-1);
    expect(norm?.domain).toBe('');
    expect(norm?.attribute.find(({ name }) => name === 'epsilon')?.f).toBe(0.5);
  });

  it('leaves a model without them as it is', () => {
    const plain = graphOf([node('Relu', ['x'], ['y'])]);
    expect(withoutSkipNorms(plain)).toBe(plain);
  });
});
