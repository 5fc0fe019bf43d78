import { expect, it } from 'vitest';
import { floatsToHalves, fromHalf, halvesToFloats, toHalf } from '../../../src-main/engine/half.ts';
import { CompiledEngine } from '../../../src-main/engine/compiled.ts';

it('takes every half through float and back unchanged', () => {
  for (let half = 0; half < 65536; half++) {
    const value = fromHalf(half);
    if (Number.isNaN(value)) expect(toHalf(value) & 0x7c00).toBe(0x7c00);
    else expect(toHalf(value)).toBe(half);
  }
});

it.each([
  [65504, 0x7bff],
  [65519.99, 0x7bff],
  [65520, 0x7c00],
  [2 ** -24, 1],
  [2 ** -25, 0],
  [2 ** -25 * 1.01, 1],
  [1 + 2 ** -11, 0x3c00],
  [1 + 3 * 2 ** -11, 0x3c02],
  [-0, 0x8000],
])('rounds %d to nearest, ties to even', (value, half) => {
  expect(toHalf(value)).toBe(half);
});

it('reads halves as onnxruntime does', async () => {
  const halves = Uint16Array.from({ length: 4096 }, (_, index) => (index * 7) % 0x7c00);
  const executable = await new CompiledEngine({ threads: 1 }).compile({
    inputs: { x: { shape: [4096], storage: 'float16' } },
    run: ({ x }) => ({ y: x! }),
  });
  const { y } = await executable.run({ x: halves });
  expect([...y!]).toEqual([...halvesToFloats(halves)]);
  expect([...floatsToHalves(y!)]).toEqual([...halves]);
});
