import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import sharp from 'sharp';

/** A PNG of one colour; each colour makes a file of its own content. */
export async function paint(path: string, colour: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const background = { r: colour % 256, g: (colour * 7) % 256, b: (colour >> 8) % 256 };
  await sharp({ create: { width: 4, height: 4, channels: 3, background } })
    .png()
    .toFile(path);
}
