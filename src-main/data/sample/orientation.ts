import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import sharp from 'sharp';
import type { TaskOptions } from '../../base/progress.ts';
import { writeFileAtomic } from '../../workspace/atomic.ts';
import { mapConcurrently } from '../concurrent.ts';
import { drawHeart, heartReach } from './heart.ts';
import type { Heart } from './heart.ts';

export interface OrientationSettings {
  /** Images in each split; 800, 200 and 1,000 when left out. */
  train?: number;
  val?: number;
  test?: number;
  /** Width and height of a picture in pixels, 64 when left out. */
  size?: number;
  seed?: number;
}

const orientations = 16;

/** Degrees, rounded down: '000', '022', '045', ... */
export const orientationNames: readonly string[] = Array.from({ length: orientations }, (_, index) =>
  String(Math.floor((360 / orientations) * index)).padStart(3, '0'),
);

interface Drawing {
  path: string;
  label: number;
  heart: Heart;
}

/**
 * Writes sample data in the manner of dSprites (https://github.com/google-deepmind/dsprites-dataset): a white heart on
 * black at a random place and size, turned by any angle; the nearest of 16 directions is its class. As VTAB-1K lists.
 * What matters is the one thing that a network trained on photographs learnt to overlook, so linear probing does poorly.
 * Classes are even to within one image; equal settings give equal files.
 */
export async function writeOrientationSet(
  folder: string,
  settings: OrientationSettings = {},
  { onProgress, signal }: TaskOptions = {},
): Promise<void> {
  const { train = 800, val = 200, test = 1000, size = 64, seed = 1 } = settings;
  const random = xoroshiro128plus(seed);
  const between = (low: number, high: number) => low + (high - low) * uniformFloat64(random);
  const drawSplit = (split: string, count: number): Drawing[] => {
    const labels = Array.from({ length: count }, (_, index) => index % orientations);
    for (let last = count - 1; last > 0; last--) {
      const other = uniformInt(random, 0, last);
      [labels[last], labels[other]] = [labels[other]!, labels[last]!];
    }
    return labels.map((label, index) => {
      // dSprites' scales: its hearts are 11 to 22 pixels wide, of 64.
      const width = size * between(0.17, 0.34);
      const margin = heartReach(width) + 1;
      const x = between(margin, size - margin);
      const y = between(margin, size - margin);
      // Any angle nearest to the class's own: VTAB bins dSprites' 40 orientations into 16 in the same way.
      const heart = { x, y, width, angle: (2 * Math.PI * (label + between(-0.5, 0.5))) / orientations };
      return { path: `images/${split}-${String(index).padStart(5, '0')}.png`, label, heart };
    });
  };
  const splits = { train: drawSplit('train', train), val: drawSplit('val', val), test: drawSplit('test', test) };
  const drawings = [...splits.train, ...splits.val, ...splits.test];

  await mkdir(join(folder, 'images'), { recursive: true });
  let done = 0;
  await mapConcurrently(
    drawings,
    availableParallelism(),
    async ({ path, heart }) => {
      const raw = { width: size, height: size, channels: 1 } as const;
      await sharp(drawHeart(size, heart), { raw }).png({ compressionLevel: 9 }).toFile(join(folder, path));
      onProgress?.({ task: 'draw sample images', done: ++done, total: drawings.length, unit: 'images' });
    },
    signal,
  );
  await writeFileAtomic(join(folder, 'classes.txt'), orientationNames.map((name) => `${name}\n`).join(''));
  await writeFileAtomic(join(folder, 'test.txt'), listOf(splits.test));
  await writeFileAtomic(join(folder, 'val200.txt'), listOf(splits.val));
  await writeFileAtomic(join(folder, 'train800val200.txt'), listOf([...splits.train, ...splits.val]));
  // Last: a folder with this list is whole.
  await writeFileAtomic(join(folder, 'train800.txt'), listOf(splits.train));
}

function listOf(drawings: readonly Drawing[]): string {
  return drawings.map(({ path, label }) => `${path} ${label}\n`).join('');
}
