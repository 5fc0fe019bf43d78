/** A folder as people have them: copies across the splits and classes, a broken file, a class with hardly a picture. */
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const CLASSES = ['apples', 'pears', 'plums'];
const EACH = { train: 12, val: 4 };

/** @param pictures files to take the images from, more than 80 */
export async function writeTroubledSet(folder: string, pictures: readonly string[]): Promise<void> {
  const place = (split: string, label: string, name: string) => join(folder, split, label, `${name}.png`);
  let next = 0;
  for (const [split, count] of Object.entries(EACH)) {
    for (const label of CLASSES) {
      await mkdir(join(folder, split, label), { recursive: true });
      for (let index = 0; index < count; index++)
        await copyFile(pictures[next++]!, place(split, label, `${label}-${index}`));
    }
    await mkdir(join(folder, split, 'quinces'), { recursive: true });
    await copyFile(pictures[next++]!, place(split, 'quinces', 'quince'));
  }
  // The same picture in training and validation, twice in one class, and under two classes.
  await copyFile(place('train', 'apples', 'apples-0'), place('val', 'apples', 'apple again'));
  await copyFile(place('train', 'pears', 'pears-1'), place('train', 'pears', 'pears-1 (copy)'));
  await copyFile(place('train', 'plums', 'plums-2'), place('train', 'apples', 'an apple'));
  const whole = await readFile(pictures[next]!);
  await writeFile(place('train', 'plums', 'cut short'), whole.subarray(0, whole.length >> 1));
  await writeFile(place('train', 'plums', 'empty'), '');
}
