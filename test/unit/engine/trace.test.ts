import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { CompiledEngine } from '../../../src-main/engine/compiled.ts';
import { createSession, toOrt } from '../../../src-main/engine/session.ts';
import { EagerEngine } from '../../../src-main/engine/eager.ts';
import { encodeModel } from '../../../src-main/engine/onnx/model.ts';
import type { Program, Tensors } from '../../../src-main/engine/program.ts';
import { SYMBOLIC_BATCH, trace } from '../../../src-main/engine/trace/trace.ts';

function program(shape: readonly number[], run: (x: tf.Tensor) => tf.Tensor): Program {
  return { inputs: { x: { shape, storage: 'float32' } }, run: ({ x }: Tensors) => ({ y: run(x!) }) };
}

describe('what cannot be recorded is an error that says what', () => {
  it('an op without a recorder, by name', async () => {
    const resize = program([1, 4, 4, 3], (x) => tf.image.resizeBilinear(x as tf.Tensor4D, [2, 2]));
    await expect(trace(resize)).rejects.toThrow("TensorFlow.js op 'ResizeBilinear' cannot be recorded as ONNX");
  });

  it('an op without a recorder that only the derivative needs', async () => {
    const gather = program([4, 3], (x) =>
      tf.grad((v: tf.Tensor) => tf.sum(tf.gather(v, tf.tensor1d([0, 2], 'int32'))))(x),
    );
    await expect(trace(gather)).rejects.toThrow("TensorFlow.js op 'UnsortedSegmentSum' cannot be recorded");
  });

  it('reading a value', async () => {
    await expect(trace(program([2], (x) => tf.scalar(x.dataSync()[0]!)))).rejects.toThrow(
      'reads a tensor while it is traced',
    );
  });

  it('a tensor made before', async () => {
    await tf.setBackend('cpu');
    const made = tf.tensor1d([1, 2]);
    await expect(trace(program([2], (x) => tf.add(x, made)))).rejects.toThrow(/before it was traced|another backend/);
  });

  it('a filled tensor as large as a symbolic batch', async () => {
    const filled = program([SYMBOLIC_BATCH, 3], (x) => tf.concat([x, tf.ones([SYMBOLIC_BATCH, 1])], 1));
    await expect(trace(filled)).rejects.toThrow('whose size depends on the batch');
  });
});

it('leaves TF.js on the backend it was on', async () => {
  await tf.setBackend('cpu');
  await trace(program([2], (x) => tf.square(x)));
  expect(tf.getBackend()).toBe('cpu');
  expect([...tf.square(tf.tensor1d([3])).dataSync()]).toEqual([9]);
});

it('records equal nodes once and arithmetic that changes nothing not at all', async () => {
  const { model } = await trace(
    program([8, 40], (x) => tf.add(tf.mul(tf.exp(x), tf.ones([8, 40])), tf.add(tf.exp(x), tf.zerosLike(x)))),
  );
  expect(model.graph!.node.map(({ opType }) => opType)).toEqual(['Exp', 'Add', 'Identity']);
});

it('keeps large constants small', async () => {
  const { model } = await trace(program([3], (x) => tf.add(tf.fill([1000, 3], 2.5), x)));
  expect(encodeModel(model).length).toBeLessThan(1000);
});

it('writes a symbolic batch that takes any size', async () => {
  const attention = program([SYMBOLIC_BATCH, 5, 4], (x) => {
    const flat = tf.reshape(x, [SYMBOLIC_BATCH * 5, 4]) as tf.Tensor2D;
    const q = tf.reshape(tf.matMul(flat, tf.mul(tf.eye(4), 2)), [-1, 5, 4]);
    return tf.mean(tf.slice(tf.matMul(tf.softmax(tf.matMul(q, x, false, true)), x), [0, 1, 0], [-1, -1, -1]), 1);
  });
  const { model } = await trace(attention);
  const session = await createSession(encodeModel(model), { threads: 1 });
  for (const batch of [1, 3, 32]) {
    const x = Float32Array.from({ length: batch * 20 }, (_, index) => Math.sin(index));
    const { y } = await session.run({ x: toOrt({ shape: [batch, 5, 4], storage: 'float32' }, x) });
    const fixed = { ...attention, inputs: { x: { shape: [batch, 5, 4], storage: 'float32' as const } } };
    const withBatch: Program = {
      ...fixed,
      run: ({ x: input }) => ({
        y: tf.mean(
          tf.slice(
            tf.matMul(tf.softmax(tf.matMul(tf.mul(input!, 2), input!, false, true)), input!),
            [0, 1, 0],
            [-1, -1, -1],
          ),
          1,
        ),
      }),
    };
    const expected = await (await new EagerEngine().compile(withBatch)).run({ x });
    expect(y!.dims).toEqual([batch, 4]);
    (y!.data as Float32Array).forEach((value, index) => expect(value).toBeCloseTo(expected.y![index]!, 5));
  }
});

it('says which feed is missing or of the wrong size', async () => {
  const executable = await new CompiledEngine({ threads: 1 }).compile(program([2, 3], (x) => tf.square(x)));
  await expect(executable.run({})).rejects.toThrow("input 'x' was not fed");
  await expect(executable.run({ x: new Float32Array(5) })).rejects.toThrow(
    "Input 'x' has 5 elements; its shape [2, 3] needs 6",
  );
});

it('writes into the buffers it is given', async () => {
  const executable = await new CompiledEngine({ threads: 1 }).compile(program([3], (x) => tf.mul(x, 2)));
  const y = new Float32Array(3);
  const result = await executable.run({ x: Float32Array.of(1, 2, 3) }, { y });
  expect(result.y).toBe(y);
  expect([...y]).toEqual([2, 4, 6]);
});

it('traces, and runs eagerly, one at a time when asked for many at once', async () => {
  await tf.setBackend('cpu');
  const programs = Array.from({ length: 5 }, (_, index) => program([2, 3], (x) => tf.mul(tf.sin(x), index + 1)));
  const x = Float32Array.from({ length: 6 }, (_, index) => index);
  const results = await Promise.all(
    programs.flatMap((each) =>
      [new CompiledEngine({ threads: 1 }), new EagerEngine()].map(async (engine) =>
        (await engine.compile(each)).run({ x }),
      ),
    ),
  );
  results.forEach(({ y }, index) => expect(y![1]).toBeCloseTo(Math.sin(1) * (Math.floor(index / 2) + 1), 5));
  expect(tf.getBackend()).toBe('cpu');
});
