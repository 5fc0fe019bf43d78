import { Failure } from './failure.ts';

/** What the codes of the system's errors mean, and what one can do. */
const MEANINGS: Readonly<Record<string, readonly [reason: string, advice: string]>> = {
  ENOSPC: ['the disk is full', 'free some space and try again'],
  EDQUOT: ['your share of the disk is used up', 'free some space and try again'],
  EROFS: ['that disk is read-only', 'choose a folder on another'],
  EACCES: ['you may not do that there', 'change its permissions, or choose another folder'],
  EPERM: ['you may not do that there', 'change its permissions, or choose another folder'],
  EEXIST: ['a file is in its place', 'move that away, or choose another folder'],
  ENOTDIR: ['a file is in the place of a folder', 'move that away, or choose another folder'],
  EISDIR: ['a folder is in the place of a file', 'move that away, or choose another folder'],
  ENOENT: ['the system makes no folder there', 'choose another'],
  ELOOP: ['its links lead in a circle', 'mend those, or choose another folder'],
  ENAMETOOLONG: ['the path is too long', 'choose a shorter one'],
  EMFILE: ['too many files are open', 'raise the limit that "ulimit -n" shows'],
  ENFILE: ['too many files are open', 'close other programs'],
  EIO: ['the disk reports an error', 'check the disk'],
  ENXIO: ['the device is gone', 'connect it again'],
  ENODEV: ['the device is gone', 'connect it again'],
  ESTALE: ['the network folder is gone', 'connect it again'],
  EBUSY: ['another program is using it', 'close that and try again'],
  EFBIG: ['the file would be larger than the disk takes', 'choose a folder on another'],
};

function meaningOf(error: unknown): readonly [reason: string, advice: string] | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  return MEANINGS[error.code];
}

/** Why the system refused something, in words; undefined for an error that is not the system's. */
export function systemReason(error: unknown): string | undefined {
  return meaningOf(error)?.[0];
}

/**
 * An error of the system that is the user's to mend, as a sentence; undefined for any other. Where somebody knows more
 * about what was tried, they say it themselves; this is for the rest. A file that is not there is a defect of ours.
 */
export function systemFailure(error: unknown): Failure | undefined {
  const meaning = meaningOf(error);
  if (!meaning || !(error instanceof Error) || !('code' in error) || error.code === 'ENOENT') return undefined;
  const [reason, advice] = meaning;
  const what = 'path' in error && typeof error.path === 'string' ? `"${error.path}"` : 'A file';
  const full = error.code === 'ENOSPC' || error.code === 'EDQUOT';
  return new Failure(full ? 'disk-full' : 'system', `${what} cannot be read or written: ${reason}; ${advice}.`, {
    cause: error,
  });
}
