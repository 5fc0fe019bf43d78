/** Pictures as the inputs of a program. */
import { PATCH, PATCHES, SIDE, drawPicture } from './picture.ts';
import type { Answers, Picture } from './picture.ts';
import { patchTasks, pictureTasks } from './tasks.ts';
import type { Task } from './tasks.ts';

const GRID = SIDE / PATCH;
const PATCH_VALUES = 3 * PATCH * PATCH;
/** Channels become (value - 0.5) / 0.5, the studio's default. */
const CENTRE = 0.5;

export interface PictureBatch extends Record<string, Float32Array | Int32Array> {
  patches: Float32Array;
  picture_labels: Int32Array;
  picture_weights: Float32Array;
  patch_labels: Int32Array;
  patch_weights: Float32Array;
}

export function allocateBatch(size: number): PictureBatch {
  return {
    patches: new Float32Array(size * PATCHES * PATCH_VALUES),
    picture_labels: new Int32Array(size * pictureTasks.length),
    picture_weights: new Float32Array(size * pictureTasks.length),
    patch_labels: new Int32Array(size * PATCHES * patchTasks.length),
    patch_weights: new Float32Array(size * PATCHES * patchTasks.length),
  };
}

/**
 * Draws the pictures from number `first` on into the batch.
 * @param share of the step's loss that a picture has
 */
export function drawBatch(batch: PictureBatch, size: number, first: number, seed: number, share: number): void {
  for (let place = 0; place < size; place++) {
    const picture = drawPicture(first + place, seed);
    cutPatches(picture, batch.patches, place * PATCHES * PATCH_VALUES);
    ask(pictureTasks, picture.answers, share, batch.picture_labels, batch.picture_weights, place);
    askPatches(picture, share, batch, place * PATCHES);
  }
}

/** Patch by patch, in each channel by channel and row by row, as a convolution's weights lie. */
function cutPatches({ pixels }: Picture, into: Float32Array, offset: number): void {
  let at = offset;
  for (let patch = 0; patch < PATCHES; patch++) {
    const corner = Math.floor(patch / GRID) * PATCH * SIDE + (patch % GRID) * PATCH;
    for (let channel = 0; channel < 3; channel++) {
      for (let row = 0; row < PATCH; row++) {
        const start = channel * SIDE * SIDE + corner + row * SIDE;
        for (let column = 0; column < PATCH; column++) into[at++] = (pixels[start + column]! - CENTRE) / CENTRE;
      }
    }
  }
}

/** A task's share is divided among the patches that it can be asked of. */
function askPatches({ patches }: Picture, share: number, batch: PictureBatch, firstRow: number): void {
  patchTasks.forEach(({ name, weight }, task) => {
    const asked = patches.filter((answers) => answers[name] !== null).length;
    patches.forEach((answers, patch) => {
      const at = (firstRow + patch) * patchTasks.length + task;
      batch.patch_labels[at] = answers[name] ?? 0;
      batch.patch_weights[at] = answers[name] === null ? 0 : (weight * share) / asked;
    });
  });
}

function ask<Name extends string>(
  tasks: readonly (Task & { name: Name })[],
  answers: Answers<Name>,
  share: number,
  labels: Int32Array,
  weights: Float32Array,
  row: number,
): void {
  tasks.forEach(({ name, weight }, task) => {
    const answer = answers[name];
    labels[row * tasks.length + task] = answer ?? 0;
    weights[row * tasks.length + task] = answer === null ? 0 : weight * share;
  });
}
