import { Failure } from '../base/failure.ts';

const reservedOnWindows = /^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$/i;
// Control characters, separators, and what Windows refuses in file names.
// eslint-disable-next-line no-control-regex
const forbidden = /[\u0000-\u001f\u007f/\\<>:"|?*]/g;

const MOST_CHARACTERS = 100;
/** Of the 255 that file systems give a name: the rest is for what is added to it (a run's time, a temporary ending). */
const MOST_BYTES = 200;

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
    `${JSON.stringify(name)} cannot name a ${kind}: use letters, digits, spaces, "-", "_" or ".", with no "." in front, and at most ${MOST_CHARACTERS} characters and ${MOST_BYTES} bytes of UTF-8.`,
  );
}

/** A safe name as near to `text` (a file's or folder's name) as can be; empty where nothing usable is in it. */
export function safeName(text: string): string {
  const name = shortened(text.normalize('NFC').replace(forbidden, '-'));
  const trimmed = name.replace(/^[.\s]+/, '').replace(/[.\s]+$/, '');
  return reservedOnWindows.test(trimmed) ? `_${trimmed}` : trimmed;
}

/** As many whole characters from the start as fit. */
function shortened(text: string): string {
  let name = '';
  let bytes = 0;
  for (const character of Array.from(text).slice(0, MOST_CHARACTERS)) {
    bytes += Buffer.byteLength(character);
    if (bytes > MOST_BYTES) break;
    name += character;
  }
  return name;
}
