/** How well the pictures' questions are answered, on pictures that were never trained on. */
import { CompiledEngine } from '../../../src-main/engine/compiled.ts';
import type { ParameterLayout } from '../../../src-main/training/parameters.ts';
import { allocateBatch, drawBatch } from './batch.ts';
import { picturesProgram } from './objective.ts';
import { headWidth, pictureTasks } from './tasks.ts';
import type { PictureTask } from './tasks.ts';
import type { VitShape } from './vit.ts';

const SIZE = 32;

/** Share of right answers, from CLS, over the pictures that have one. `seed`: not that of the training pictures. */
export async function accuracies(
  shape: VitShape,
  layout: ParameterLayout,
  parameters: Float32Array,
  { pictures, seed }: { pictures: number; seed: number },
): Promise<Record<PictureTask, number>> {
  const executable = await new CompiledEngine({ threads: 1 }).compile(picturesProgram(shape, layout, SIZE));
  const batch = allocateBatch(SIZE);
  const right = pictureTasks.map(() => 0);
  const asked = pictureTasks.map(() => 0);
  for (let first = 0; first < pictures; first += SIZE) {
    drawBatch(batch, SIZE, first, seed, 1);
    const { logits } = await executable.run({ parameters, patches: batch.patches });
    for (let row = 0; row < SIZE; row++) {
      let offset = row * headWidth(pictureTasks);
      pictureTasks.forEach(({ classes }, task) => {
        const own = logits!.subarray(offset, offset + classes);
        offset += classes;
        const at = row * pictureTasks.length + task;
        if (batch.picture_weights[at] === 0) return;
        asked[task]!++;
        if (own.indexOf(Math.max(...own)) === batch.picture_labels[at]) right[task]!++;
      });
    }
  }
  await executable.dispose();
  const shares = pictureTasks.map(({ name }, task) => [name, right[task]! / Math.max(1, asked[task]!)] as const);
  return Object.fromEntries(shares) as Record<PictureTask, number>;
}
