import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Failure } from '../base/failure.ts';
import { imagePath, type Dataset, type DatasetImage } from './dataset.ts';

/** SHA-256 of a file, in hexadecimal. @throws Failure `image` where it cannot be read */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  } catch (error) {
    throw new Failure('image', `"${path}" cannot be read: check its permissions.`, { cause: error });
  }
  return hash.digest('hex');
}

/**
 * Checks that an image of a dataset is still the one that was imported: by size and time, and by content where those
 * differ. A file that is gone passes: whoever reads it says so.
 * @throws Failure `image-changed`
 */
export async function checkUnchanged({ source }: Pick<Dataset, 'source'>, image: DatasetImage): Promise<void> {
  const path = imagePath({ source }, image);
  const status = await stat(path).catch(() => undefined);
  if (!status || (status.size === image.bytes && status.mtimeMs === image.mtimeMs)) return;
  if (status.size === image.bytes && (await hashFile(path)) === image.sha256) return;
  throw new Failure(
    'image-changed',
    `"${path}" is not the picture that was imported: put the old one back, or import its folder again with "sidetune datasets add".`,
  );
}
