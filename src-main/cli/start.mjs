#!/usr/bin/env node
// `npm start`: the studio in its own window, else in the browser. Electron's binary is no npm package: it is fetched the
// first time, and where it cannot be, one line says so.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildIfStale, buildRendererIfStale } from './build.mjs';
import { canShow, electronPath } from './find-electron.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const electronFolder = path.join(root, 'node_modules', 'electron');
const FETCH_LIMIT_MS = 600_000;

function find() {
  return electronPath(electronFolder, process.env, {
    exists: existsSync,
    read: (file) => readFileSync(file, 'utf8'),
    platform: process.platform,
  });
}

/** Runs Electron's own download, which checks what it gets; why that failed, in one line. */
function fetchElectron() {
  const install = path.join(electronFolder, 'install.js');
  if (!existsSync(install)) return 'Electron is not installed here: run `npm ci` first';
  if (process.env.ELECTRON_SKIP_BINARY_DOWNLOAD)
    return 'Electron may not be fetched: ELECTRON_SKIP_BINARY_DOWNLOAD is set';
  process.stderr.write('Fetching Electron, once (about 120 MB)...\n');
  const { status, stderr, error } = spawnSync(process.execPath, [install], {
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: FETCH_LIMIT_MS,
  });
  if (status === 0) return undefined;
  const lines = `${error?.message ?? ''}\n${stderr}`.split('\n').map((line) => line.trim());
  const line = lines.find((each) => /error|cannot|failed/i.test(each)) ?? lines.find((each) => each !== '');
  return `Electron cannot be fetched: ${line ?? 'no reason given'}`;
}

/** Ends as the child does, and hands on what asks this process to end. */
function become(command, args, options) {
  const child = spawn(command, args, { stdio: 'inherit', ...options });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`${command} cannot be started: ${error.message}\n`);
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => (process.exitCode = signal ? 1 : code));
}

try {
  buildIfStale();
  buildRendererIfStale();
} catch (error) {
  process.stderr.write(`Sidetune could not be built: ${error.message}\n`);
  process.exit(1);
}
const rest = process.argv.slice(2);
const shows = canShow(process.env, process.platform);
const why = !shows ? 'there is no display' : find() === undefined ? fetchElectron() : undefined;
const electron = why === undefined ? find() : undefined;
if (electron === undefined) {
  process.stderr.write(
    `No window of its own (${why ?? 'Electron has no binary'}): the studio is served to a browser.\n`,
  );
  const launcher = path.join(root, 'src-main', 'cli', 'sidetune.mjs');
  become(process.execPath, [launcher, ...rest, 'serve', '--port', '0', ...(shows ? ['--open'] : [])]);
} else {
  const env = { ...process.env };
  delete env.ELECTRON_RUN_AS_NODE;
  // Chromium's sandbox refuses root; that is a container's matter, not a user's.
  const sandbox = process.platform === 'linux' && process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  become(electron, [...sandbox, root, ...rest], { env });
}
