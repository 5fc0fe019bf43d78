import { join } from 'node:path';
import { expect, it } from 'vitest';
import { canShow, electronPath } from '../../../src-main/cli/find-electron.mjs';
import { openerOf } from '../../../src-main/cli/open-address.ts';

const folder = join('modules', 'electron');

/** Where the binary is found among these files. */
function find(files: Record<string, string>, env: NodeJS.ProcessEnv = {}, platform: NodeJS.Platform = 'linux') {
  return electronPath(folder, env, {
    exists: (file: string) => Object.hasOwn(files, file),
    read: (file: string) => files[file]!,
    platform,
  });
}

it('finds the binary that the package has fetched, and none before', () => {
  expect(find({})).toBeUndefined();
  // Named, but not there: a download that was cut short.
  expect(find({ [join(folder, 'path.txt')]: 'electron' })).toBeUndefined();
  const binary = join(folder, 'dist', 'electron');
  expect(find({ [join(folder, 'path.txt')]: 'electron\n', [binary]: '' })).toBe(binary);
});

it('takes another distribution where one is named, and never its own then', () => {
  const own = { [join(folder, 'dist', 'electron')]: '' };
  const env = { ELECTRON_OVERRIDE_DIST_PATH: join('other', 'dist') };
  expect(find(own, env)).toBeUndefined();
  const other = join('other', 'dist', 'electron.exe');
  expect(find({ ...own, [other]: '' }, env, 'win32')).toBe(other);
});

it('knows where windows can be shown', () => {
  expect(canShow({}, 'linux')).toBe(false);
  expect(canShow({ WAYLAND_DISPLAY: 'wayland-0' }, 'linux')).toBe(true);
  expect(canShow({}, 'darwin')).toBe(true);
});

it('knows what opens an address', () => {
  expect(openerOf('linux', 'http://x/?a=1&b=2')).toEqual(['xdg-open', 'http://x/?a=1&b=2']);
  expect(openerOf('win32', 'http://x/?a=1&b=2').at(-1)).toBe('http://x/?a=1^&b=2');
});
