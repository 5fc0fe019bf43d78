/** `npm start` with and without an Electron: a stand-in that writes down how it was called, and none. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';

const script = fileURLToPath(new URL('../../../src-main/cli/start.mjs', import.meta.url));
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'start-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function start(args: string[], env: NodeJS.ProcessEnv) {
  const { DISPLAY: _display, WAYLAND_DISPLAY: _wayland, ...rest } = process.env;
  return spawn(process.execPath, [script, ...args], { env: { ...rest, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
}

it.skipIf(process.platform === 'win32')('opens Electron where there is one, with what it was given', async () => {
  const called = join(folder, 'called');
  const stand = `#!/bin/sh\nprintf '%s\\n' "$@" > '${called}'\nexit 7\n`;
  await writeFile(join(folder, 'electron'), stand, { mode: 0o755 });
  const child = start(['--workspace', join(folder, 'w')], { ELECTRON_OVERRIDE_DIST_PATH: folder, DISPLAY: ':99' });
  expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(7);
  const given = (await readFile(called, 'utf8')).trim().split('\n');
  expect(given.slice(-3)).toEqual([
    fileURLToPath(new URL('../../../', import.meta.url)),
    '--workspace',
    join(folder, 'w'),
  ]);
});

it.skipIf(process.platform !== 'linux')(
  'says in one line that there is none, and serves the studio to a browser',
  async () => {
    const child = start(['--workspace', join(folder, 'w')], {});
    let said = '';
    child.stderr.on('data', (text) => (said += String(text)));
    const url = await new Promise<string>((resolve, reject) => {
      let printed = '';
      child.stdout.on('data', (text) => {
        const found = /http:\/\/127\.0\.0\.1:\d+\/\?token=\S+/.exec((printed += String(text)));
        if (found) resolve(found[0]);
      });
      child.once('exit', () => reject(new Error(`it ended: ${said}`)));
    });
    const lines = said.split('\n').filter((line) => line !== '' && !line.startsWith('Building'));
    expect(lines).toEqual(['No window of its own (there is no display): the studio is served to a browser.']);
    const page = await fetch(url, { redirect: 'manual' });
    expect(page.status).toBe(303);
    child.kill('SIGINT');
    expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(130);
  },
);
