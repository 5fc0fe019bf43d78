/** Other looks at training images, known beforehand: their features can be kept as those of the images themselves are. */
import { createHash } from 'node:crypto';
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { DatasetImage } from './dataset.ts';
import type { View } from './image-reference.ts';

/** Views of an image that can be asked for: more are nearly the same again. */
export const MOST_VIEWS = 16;

/** Share of a picture that a crop shows, and how far from the picture's own its sides' ratio may be. */
const AREA = { least: 0.5, most: 1 };
const RATIO = 4 / 3;

/**
 * Every view of a list of images: all as they are, then all mirrored, then crops, half of them mirrored too, in the
 * manner of Szegedy et al. (arXiv:1409.4842), though of half the picture at least. Image `i` in view `v` has place
 * `v * images.length + i`, and a hash of its own. Equal images have equal views, whatever list they are in.
 * @param count views of each image, from 1 on
 */
export function viewsOf(images: readonly DatasetImage[], count: number): readonly DatasetImage[] {
  if (count <= 1) return images;
  const others = Array.from({ length: count - 1 }, (_, index) => images.map((image) => seen(image, index + 1)));
  return [...images, ...others.flat()];
}

function seen(image: DatasetImage, number: number): DatasetImage {
  const view = viewOf(image.sha256, number);
  const sha256 = createHash('sha256').update(JSON.stringify(view)).digest('hex');
  return { ...image, sha256, view };
}

/** @param of the image's hash @param number from 1 */
function viewOf(of: string, number: number): View {
  if (number === 1) return { of, mirrored: true, left: 0, top: 0, width: 1, height: 1 };
  const random = xoroshiro128plus(Number.parseInt(of.slice(0, 8), 16) ^ Math.imul(number, 0x9e3779b9));
  const between = (low: number, high: number) => low + (high - low) * uniformFloat64(random);
  const area = between(AREA.least, AREA.most);
  const ratio = Math.exp(between(-Math.log(RATIO), Math.log(RATIO)));
  const width = Math.min(1, Math.sqrt(area * ratio));
  const height = Math.min(1, Math.sqrt(area / ratio));
  const left = between(0, 1 - width);
  const top = between(0, 1 - height);
  return { of, mirrored: between(0, 1) < 0.5, left, top, width, height };
}
