import { Failure } from '../base/failure.ts';
import { freeSpace } from '../workspace/free-space.ts';

/**
 * Checks that what is about to be written fits on the disk, before hours go into it.
 * @throws Failure `disk-full`, saying how much is needed and how much is free
 */
export async function checkSpace(folder: string, neededBytes: number): Promise<void> {
  const freeBytes = await freeSpace(folder);
  if (neededBytes <= freeBytes) return;
  throw new Failure(
    'disk-full',
    `The features need ${megabytes(neededBytes)} and the disk of "${folder}" has ${megabytes(freeBytes)} free: free some space, keep them smaller with --cache int8 or not at all with --cache none, use fewer images, or put the workspace elsewhere with --workspace.`,
  );
}

const megabytes = (bytes: number): string =>
  `${(bytes / 1e6).toLocaleString('en-US', { maximumFractionDigits: 1 })} MB`;
