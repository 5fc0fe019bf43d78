import { describe, expect, it } from 'vitest';
import { fold, foldScalar } from '../../../src-main/backbone/fold.ts';
import { Graph } from '../../../src-main/backbone/graph.ts';
import { tensorValues } from '../../../src-main/backbone/tensors.ts';
import { Failure } from '../../../src-main/base/failure.ts';
import {
  DataType,
  floatTensor,
  int64Tensor,
  model,
  node,
  tensor,
  valueInfo,
} from '../../../src-main/engine/onnx/model.ts';
import { TensorProto_DataLocation } from '../../../src-main/engine/onnx/onnx_pb.ts';

/** The chain that torch writes for a reshape to [batch, tokens, 3, 3, width / 3]. */
function reshapeChain(): Graph {
  return new Graph(
    model({
      name: 'chain',
      inputs: [valueInfo('x', DataType.FLOAT, ['b', 5, 12])],
      outputs: [],
      initializers: [
        int64Tensor('two', [2], []),
        int64Tensor('three', [3]),
        int64Tensor('three_scalar', [3], []),
        int64Tensor('axis', [0]),
        floatTensor('twelve', [], Float32Array.of(12)),
      ],
      nodes: [
        node('Shape', ['x'], ['shape']),
        node('Gather', ['shape', 'two'], ['unknown_width'], { axis: 0 }),
        node('Div', ['unknown_width', 'three_scalar'], ['unknown_part']),
        node('Unsqueeze', ['unknown_part', 'axis'], ['unknown_vector']),
        node('Div', ['twelve', 'three_scalar'], ['part']),
        node('Cast', ['part'], ['whole_part'], { to: DataType.INT64 }),
        node('Unsqueeze', ['whole_part', 'axis'], ['part_vector']),
        node('Concat', ['three', 'unknown_vector', 'part_vector'], ['target'], { axis: 0 }),
      ],
    }),
  );
}

describe('fold', () => {
  it('computes what is known and leaves null what is not', () => {
    expect(fold(reshapeChain(), 'target')).toEqual({ rank: 1, values: [3, null, 4] });
    expect(foldScalar(reshapeChain(), 'whole_part')).toBe(4);
    expect(foldScalar(reshapeChain(), 'unknown_part')).toBeUndefined();
    expect(fold(reshapeChain(), 'x')).toBeUndefined();
  });
});

describe('tensorValues', () => {
  it('reads bytes at any offset of the file', () => {
    const bytes = new Uint8Array(13);
    bytes.set(new Uint8Array(Float32Array.of(1.5, -2).buffer), 5);
    // A Buffer, as read from a file: its slice() shares memory where Uint8Array's copies.
    const raw = Buffer.from(bytes.buffer, 5, 8);
    expect(tensorValues(tensor('w', [2], raw, DataType.FLOAT))).toEqual(Float32Array.of(1.5, -2));
  });

  it('reads half precision and int64', () => {
    expect(tensorValues(tensor('h', [2], Uint16Array.of(0x3c00, 0xc100), DataType.FLOAT16))).toEqual(
      Float32Array.of(1, -2.5),
    );
    expect(tensorValues(int64Tensor('i', [-1, 7]))).toEqual([-1, 7]);
  });

  it('refuses weights that lie in another file', () => {
    const outside = floatTensor('w', [1], Float32Array.of(1));
    outside.dataLocation = TensorProto_DataLocation.EXTERNAL;
    expect(() => tensorValues(outside)).toThrow(Failure);
  });
});
