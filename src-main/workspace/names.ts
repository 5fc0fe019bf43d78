import { Failure } from '../base/failure.ts';

const reservedOnWindows = /^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$/i;
// Control characters, separators, and what Windows refuses in file names.
// eslint-disable-next-line no-control-regex
const forbidden = /[\u0000-\u001f\u007f/\\<>:"|?*]/g;

/** Whether a name is one path segment that is safe on every system. */
export function isSafeName(name: string): boolean {
  return name !== '' && safeName(name) === name;
}

/**
 * The name itself where it is a safe single path segment.
 * @throws Failure `bad-name`
 */
export function checkName(kind: string, name: string): string {
  if (isSafeName(name)) return name;
  throw new Failure(
    'bad-name',
    `${JSON.stringify(name)} cannot name a ${kind}: use up to 100 letters, digits, spaces, "-", "_" or ".", with no "." in front.`,
  );
}

/** A safe name as near to `text` (a file's or folder's name) as can be; empty where nothing usable is in it. */
export function safeName(text: string): string {
  const name = Array.from(text.normalize('NFC').replace(forbidden, '-')).slice(0, 100).join('');
  const trimmed = name.replace(/^[.\s]+/, '').replace(/[.\s]+$/, '');
  return reservedOnWindows.test(trimmed) ? `_${trimmed}` : trimmed;
}
