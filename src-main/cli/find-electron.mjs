// Where Electron's binary is. `require('electron')` would say so too, and begin to download where there is none.
import path from 'node:path';

/** Name of the binary in the folder of a distribution. */
function binaryName(platform) {
  if (platform === 'darwin') return 'Electron.app/Contents/MacOS/Electron';
  return platform === 'win32' ? 'electron.exe' : 'electron';
}

/**
 * The binary's path: in ELECTRON_OVERRIDE_DIST_PATH where that is set, else where the package `folder` keeps its own;
 * undefined where there is none.
 */
export function electronPath(folder, env, { exists, read, platform }) {
  const override = env.ELECTRON_OVERRIDE_DIST_PATH;
  const mark = path.join(folder, 'path.txt');
  const name = exists(mark) ? read(mark).trim() : binaryName(platform);
  const found = path.join(override || path.join(folder, 'dist'), name);
  return exists(found) ? found : undefined;
}

/** Whether windows can be shown here: elsewhere than on Linux, a session is taken to have a screen. */
export function canShow(env, platform) {
  if (platform === 'darwin' || platform === 'win32') return true;
  return Boolean(env.DISPLAY || env.WAYLAND_DISPLAY);
}
