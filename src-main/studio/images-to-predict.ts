import { stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { Failure } from '../base/failure.ts';
import { collectImages, Findings } from '../data/layouts/folder.ts';

/** What is to be classified: an image file, or a sentence on a folder that cannot be read. */
export interface ImageToPredict {
  path: string;
  error?: string;
}

/**
 * Files as they are, whether or not they can be read, and for a folder the image files in it and below, sorted; links
 * are followed, each real folder once.
 * @throws Failure `no-images` for a folder without any
 */
export async function imagesToPredict(paths: readonly string[]): Promise<ImageToPredict[]> {
  const found: ImageToPredict[] = [];
  for (const path of paths) {
    const status = await stat(path).catch(() => undefined);
    if (status?.isDirectory()) found.push(...(await imagesUnder(path)));
    else found.push({ path });
  }
  return found;
}

async function imagesUnder(path: string): Promise<ImageToPredict[]> {
  const findings = new Findings(path);
  const folder = basename(resolve(path));
  const images = await collectImages(dirname(resolve(path)), folder, findings);
  const unreadable = findings.problems().filter(({ kind }) => kind === 'unreadable');
  if (images.length === 0 && unreadable.length === 0)
    throw new Failure('no-images', `"${path}" holds no image files: give another folder, or the files themselves.`);
  return [
    // Named as the folder was.
    ...images.sort().map((image) => ({ path: join(path, image.slice(folder.length + 1)) })),
    ...unreadable.map(({ path: where, message }) => ({ path: where, error: message })),
  ];
}
