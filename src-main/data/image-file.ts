import { stat } from 'node:fs/promises';
import { Failure } from '../base/failure.ts';
import { locate, type Dataset, type DatasetImage } from './dataset.ts';
import { hashContent, readContent } from './image-content.ts';
import { nameOfImage } from './image-reference.ts';

/**
 * Checks that an image of a dataset is still the one that was imported: by size and time of the file that it is or is
 * packed in, and by content where those differ. A file that is gone passes: whoever reads it says so.
 * @throws Failure `image-changed`
 */
export async function checkUnchanged({ source }: Pick<Dataset, 'source'>, image: DatasetImage): Promise<void> {
  const reference = locate({ source }, image);
  const status = await stat(reference.path).catch(() => undefined);
  if (!status || (status.size === image.bytes && status.mtimeMs === image.mtimeMs)) return;
  // A file of another size is another picture; a packed one may have gained others.
  const mayBeSame = status.size === image.bytes || image.entry !== undefined;
  if (mayBeSame && hashContent(await readContent(reference)) === image.sha256) return;
  throw new Failure(
    'image-changed',
    `The picture ${nameOfImage(reference)} is not the one that was imported: put the old one back, or import its folder again with "sidetune datasets add".`,
  );
}
