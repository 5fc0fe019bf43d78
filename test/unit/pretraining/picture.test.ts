import { describe, expect, it } from 'vitest';
import { families } from '../../../resources/backbone/pretraining/families.ts';
import { coverage, place } from '../../../resources/backbone/pretraining/outline.ts';
import { drawPicture, PATCHES, SIDE } from '../../../resources/backbone/pretraining/picture.ts';
import { hueClass } from '../../../resources/backbone/pretraining/surfaces.ts';
import { patchTasks, pictureTasks } from '../../../resources/backbone/pretraining/tasks.ts';

const pictures = Array.from({ length: 300 }, (_, index) => drawPicture(index, 1));

describe('pictures for pretraining', () => {
  it('are decided by number and seed alone', () => {
    expect(drawPicture(7, 1)).toEqual(pictures[7]);
    expect(drawPicture(7, 2).pixels).not.toEqual(pictures[7]!.pixels);
    expect(drawPicture(8, 1).pixels).not.toEqual(pictures[7]!.pixels);
  });

  it('have levels that an image file holds', () => {
    for (const { pixels } of pictures.slice(0, 60)) {
      expect(pixels).toHaveLength(3 * SIDE * SIDE);
      const odd = pixels.findIndex(
        (level) => level < 0 || level > 1 || Math.abs(255 * level - Math.round(255 * level)) > 1e-4,
      );
      expect(odd).toBe(-1);
    }
  });

  it('answer with classes that there are, and use nearly all of them', () => {
    for (const { name, classes } of pictureTasks) {
      const answers = pictures.map((picture) => picture.answers[name]).filter((answer) => answer !== null);
      expect(answers.every((answer) => Number.isInteger(answer) && answer >= 0 && answer < classes)).toBe(true);
      expect(new Set(answers).size / classes, name).toBeGreaterThan(0.7);
    }
    for (const { name, classes } of patchTasks) {
      const answers = pictures.flatMap(({ patches }) => patches.map((patch) => patch[name]));
      expect(answers).toHaveLength(pictures.length * PATCHES);
      expect(answers.every((answer) => answer === null || (answer >= 0 && answer < classes))).toBe(true);
    }
  });

  it('show the main object where the answers say', () => {
    let told = 0;
    for (const { answers, patches } of pictures) {
      const own = patches.flatMap(({ shape }, patch) => (shape === answers.shape ? [patch % 8] : []));
      if (answers.count !== 0 || own.length === 0) continue;
      told++;
      const middle = own.reduce((sum, column) => sum + column, 0) / own.length;
      expect(Math.abs(middle - answers.column!)).toBeLessThan(2.5);
    }
    expect(told).toBeGreaterThan(50);
  });
});

describe('families', () => {
  it('have names of their own, and none is a heart', () => {
    const names = families.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names.filter((name) => /heart/i.test(name))).toEqual([]);
  });

  it('fill a fair part of the disc that they are drawn in', () => {
    for (const { name, outline } of families) {
      const placed = place(outline, { a: 20, b: 0, c: 0, d: 20, x: 32, y: 32 });
      const share = coverage(placed, 64).reduce((sum, value) => sum + Math.min(1, value), 0) / (Math.PI * 20 ** 2);
      expect(share, name).toBeGreaterThan(0.1);
      expect(share, name).toBeLessThan(1.4);
    }
  });
});

describe('hueClass', () => {
  it('tells twelve hues, black, grey and white', () => {
    expect(hueClass([1, 0, 0])).toBe(0);
    expect(hueClass([1, 0.3, 0])).toBe(0);
    expect(hueClass([1, 0.7, 0])).toBe(1);
    expect(hueClass([0, 1, 0])).toBe(4);
    expect(hueClass([0, 0, 1])).toBe(8);
    expect(hueClass([1, 0, 0.1])).toBe(11);
    expect([0, 0.5, 1].map((level) => hueClass([level, level, level]))).toEqual([12, 13, 14]);
  });
});
