import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { grad, sum, type Tensor, type Tensor1D, type Tensor2D, type Tensor3D } from '@tensorflow/tfjs-core';
import { CompiledEngine } from '../../../src-main/engine/compiled.ts';
import type { Program } from '../../../src-main/engine/program.ts';
import { allocateBatch, drawBatch } from '../../../resources/backbone/pretraining/batch.ts';
import { pretrainedModel } from '../../../resources/backbone/pretraining/export.ts';
import {
  batchInputs,
  initialParameters,
  pretrainingLayout,
  pretrainingProgram,
} from '../../../resources/backbone/pretraining/objective.ts';
import { drawPicture } from '../../../resources/backbone/pretraining/picture.ts';
import { headWidth, pictureTasks } from '../../../resources/backbone/pretraining/tasks.ts';
import { gelu, tokensOf, vitTokens, type VitShape } from '../../../resources/backbone/pretraining/vit.ts';
import { distance } from '../distance.ts';

const shape: VitShape = { size: 64, patch: 8, width: 24, blocks: 2, heads: 2 };
const layout = pretrainingLayout(shape);
const engine = new CompiledEngine({ threads: 1 });

/** Every parameter off zero, biases included. */
function parameters(): Float32Array {
  const vector = initialParameters(shape, layout, 3);
  return vector.map((value, index) => value + 0.05 * Math.sin(index));
}

describe('the ViT that is pretrained', () => {
  it('is to float accuracy the one that is exported', async () => {
    const batch = allocateBatch(2);
    drawBatch(batch, 2, 0, 1, 1);
    const program: Program = {
      inputs: {
        parameters: { shape: [layout.size], storage: 'float32' },
        patches: batchInputs(shape, 2).patches!,
      },
      run: (inputs) => ({
        tokens: vitTokens(shape, layout.cut(inputs.parameters as Tensor1D), inputs.patches as Tensor3D),
      }),
    };
    const executable = await engine.compile(program);
    const { tokens } = await executable.run({ parameters: parameters(), patches: batch.patches });
    await executable.dispose();

    const session = await InferenceSession.create(pretrainedModel(shape, layout, parameters(), { pictures: 0 }));
    const pixels = Float32Array.from(
      [0, 1].flatMap((index) => [...drawPicture(index, 1).pixels]),
      (level) => (level - 0.5) / 0.5,
    );
    const outputs = await session.run({ pixel_values: new OrtTensor('float32', pixels, [2, 3, 64, 64]) });
    const state = outputs.last_hidden_state!;
    expect(state.dims).toEqual([2, tokensOf(shape), shape.width]);
    expect(distance(tokens as Float32Array, state.data as Float32Array)).toBeLessThan(1e-5);
    await session.release();
  });

  it('has the gradient of its loss, which starts where guessing does', async () => {
    const size = 4;
    const batch = allocateBatch(size);
    drawBatch(batch, size, 5, 1, 1 / size);
    const executable = await engine.compile(pretrainingProgram(shape, layout, size));
    const run = async (vector: Float32Array) => executable.run({ parameters: vector, ...batch });

    const start = await run(initialParameters(shape, layout, 1));
    const guessing = pictureTasks.reduce((total, { classes, weight }) => total + 1.5 * weight * Math.log(classes), 0);
    expect(start.loss![0]).toBeGreaterThan(0.5 * guessing);
    expect(start.loss![0]).toBeLessThan(1.5 * guessing);

    // Along random directions in each kind of parameter; float32 leaves three digits.
    const vector = parameters();
    const { gradient } = await run(vector);
    for (const name of [
      'patch.weight',
      'block0.attention.qkv.weight',
      'block1.mlp.fc1.weight',
      'cls',
      'head.patch.bias',
    ]) {
      const { offset, size: length } = layout.parameters.find((each) => each.name === name)!;
      const norm = Math.hypot(...gradient!.subarray(offset, offset + length));
      const step = 0.02 / norm ** 0.5 / 10;
      const moved = (sign: number) =>
        vector.map((value, at) =>
          at >= offset && at < offset + length ? value + (sign * step * gradient![at]!) / norm : value,
        );
      const slope = ((await run(moved(1))).loss![0]! - (await run(moved(-1))).loss![0]!) / (2 * step);
      expect(slope / norm, name).toBeGreaterThan(0.97);
      expect(slope / norm, name).toBeLessThan(1.03);
    }
    await executable.dispose();
  });

  it('asks every head as many questions as there are', () => {
    const head = layout.parameters.find(({ name }) => name === 'head.cls.weight')!;
    expect(head.shape).toEqual([shape.width, headWidth(pictureTasks)]);
  });
});

describe('gelu', () => {
  it('has the derivative of x * cdf(x)', async () => {
    const executable = await engine.compile({
      inputs: { x: { shape: [1, 7], storage: 'float32' } },
      run: ({ x }) => ({
        value: gelu(x as Tensor2D),
        slope: grad((at: Tensor) => sum(gelu(at as Tensor2D)))(x!),
      }),
    });
    const x = Float32Array.of(-3, -1, -0.2, 0, 0.3, 1, 4);
    const { value, slope } = await executable.run({ x });
    const h = 1e-2;
    const [up, down] = [
      await executable.run({ x: x.map((at) => at + h) }),
      await executable.run({ x: x.map((at) => at - h) }),
    ];
    expect([...value!.slice(3)]).toEqual([
      0,
      expect.closeTo(0.1854, 4),
      expect.closeTo(0.8413, 4),
      expect.closeTo(3.9999, 4),
    ]);
    slope!.forEach((each, i) => expect(each).toBeCloseTo((up.value![i]! - down.value![i]!) / (2 * h), 3));
    await executable.dispose();
  });
});
