import { stat } from 'node:fs/promises';
import { sep } from 'node:path';
import { exists } from '../base/exists.ts';
import { Failure } from '../base/failure.ts';
import { locate, type Dataset, type DatasetImage } from './dataset.ts';
import { hashContent, readContent } from './image-content.ts';
import { nameOfImage, type ImageReference } from './image-reference.ts';

/**
 * Checks that an image of a dataset is still the one that was imported: by size and time of the file that it is or is
 * packed in, and by content where those differ. A file that is gone passes where its folder is there: whoever reads it
 * says so.
 * @throws Failure `image-changed`, `missing-folder`
 */
export async function checkUnchanged({ source }: Pick<Dataset, 'source'>, image: DatasetImage): Promise<void> {
  const reference = locate({ source }, image);
  const status = await stat(reference.path).catch(() => undefined);
  if (!status) return checkFolder(source, reference);
  if (status.size === image.bytes && status.mtimeMs === image.mtimeMs) return;
  // A file of another size is another picture; a packed one may have gained others.
  const mayBeSame = status.size === image.bytes || image.entry !== undefined;
  if (mayBeSame && hashContent(await readContent(reference)) === (image.view?.of ?? image.sha256)) return;
  throw new Failure(
    'image-changed',
    `The picture ${nameOfImage(reference)} is not the one that was imported: put the old one back, or import its folder again with "sidetune datasets add".`,
  );
}

/** Says of a picture that is gone that all of its dataset's are. @throws Failure `missing-folder` */
async function checkFolder(source: string, { path }: ImageReference): Promise<void> {
  if (!path.startsWith(`${source}${sep}`) || (await exists(source))) return;
  throw new Failure(
    'missing-folder',
    `The folder "${source}" with the dataset's pictures is gone: put it back or connect its disk, or add it anew from where it lies now with "sidetune datasets add".`,
  );
}
