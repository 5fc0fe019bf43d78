import { expect, it } from 'vitest';
import { lanesFor } from '../../../src-main/training/probe/lane-choice.ts';

it('gives short trials lanes until the start of a process is a small part of them, and long trials none', () => {
  const times = { startSeconds: 1, secondsPerImage: 0.002 };
  expect(lanesFor(times, 100_000)).toBe(1);
  expect(lanesFor(times, 6_000)).toBe(2);
  expect(lanesFor(times, 3_000)).toBe(4);
  expect(lanesFor(times, 10)).toBe(8);
});
