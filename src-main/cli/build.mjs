// Compiles src-main into dist, and src-renderer into dist/renderer. `npm run build` runs this file; the launcher imports
// it and builds what is out of date.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const sources = path.join(root, 'src-main');
const dist = path.join(root, 'dist');
const entry = path.join('cli', 'main.js');

/** Files of a folder and the folders below it, relative to it. */
function filesUnder(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((item) => item.isFile())
    .map((item) => path.relative(folder, path.join(item.parentPath, item.name)));
}

/** Time in ms of the last build, -Infinity when there is none. */
function builtAt() {
  const built = path.join(dist, entry);
  return existsSync(built) ? statSync(built).mtimeMs : -Infinity;
}

/** Time in ms of the newest file that the build depends on. */
function sourcesChangedAt() {
  const configs = readdirSync(root).filter((name) => name === 'package.json' || /^tsconfig.*\.json$/.test(name));
  const files = [...configs, ...filesUnder(sources).map((file) => path.join('src-main', file))];
  return Math.max(...files.map((file) => statSync(path.join(root, file)).mtimeMs));
}

/** The compiler's script; undefined where TypeScript is not installed (`npm ci --omit=dev`). */
function compiler() {
  try {
    return createRequire(import.meta.url).resolve('typescript/bin/tsc');
  } catch {
    return undefined;
  }
}

/** A build killed half-way leaves its folder behind; an hour later no build is still using it. */
function removeLeftovers() {
  for (const name of readdirSync(dist).filter((name) => name.startsWith('.build-'))) {
    const folder = path.join(dist, name);
    if (Date.now() - statSync(folder).mtimeMs > 3_600_000) rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Compiles into a folder of its own and renames file by file into dist, the entry last: whoever starts meanwhile sees
 * either no fresh entry (and builds too, to the same files) or a whole build. Throws with the compiler's output.
 */
export function build() {
  const tsc = compiler();
  if (tsc === undefined) throw new Error('TypeScript is not installed here: run `npm ci` first.');
  const started = new Date();
  mkdirSync(dist, { recursive: true });
  removeLeftovers();
  const fresh = mkdtempSync(path.join(dist, '.build-'));
  try {
    const config = path.join(root, 'tsconfig.build.json');
    const result = spawnSync(process.execPath, [tsc, '-p', config, '--outDir', fresh], { cwd: root, encoding: 'utf8' });
    if (result.status !== 0) {
      const said = result.error?.message ?? `${result.stdout}${result.stderr}`.trim();
      throw new Error(`the TypeScript compiler refused the sources:\n${said}`);
    }
    // The entry carries the time the build began, so that what is edited while it runs counts as newer.
    utimesSync(path.join(fresh, entry), started, started);
    for (const file of [...filesUnder(fresh).filter((file) => file !== entry), entry]) {
      mkdirSync(path.dirname(path.join(dist, file)), { recursive: true });
      renameSync(path.join(fresh, file), path.join(dist, file));
    }
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** Builds when dist is missing or older than the sources, and says so on one line of stderr. */
export function buildIfStale() {
  const last = builtAt();
  if (last >= sourcesChangedAt()) return;
  // An installation without the compiler runs what it has.
  if (compiler() === undefined && last > -Infinity) return;
  process.stderr.write(`Building sidetune (${last > -Infinity ? 'sources changed' : 'first run'})...\n`);
  build();
}

const renderer = path.join(root, 'src-renderer');
const page = path.join(dist, 'renderer', 'index.html');

/** Bundles the window with Vite into a folder of its own, which then takes the place of the old one. */
export function buildRenderer() {
  const vite = rendererCompiler();
  if (vite === undefined) throw new Error('Vite is not installed here: run `npm ci` first.');
  mkdirSync(dist, { recursive: true });
  removeLeftovers();
  const started = new Date();
  const fresh = mkdtempSync(path.join(dist, '.build-'));
  try {
    const config = path.join(renderer, 'vite.config.ts');
    const result = spawnSync(process.execPath, [vite, 'build', '--config', config, '--logLevel', 'error'], {
      cwd: root,
      encoding: 'utf8',
      env: { ...process.env, SIDETUNE_RENDERER_OUT: fresh },
    });
    if (result.status !== 0)
      throw new Error(`Vite refused the window's sources:\n${result.stdout}${result.stderr}`.trim());
    utimesSync(path.join(fresh, 'index.html'), started, started);
    rmSync(path.dirname(page), { recursive: true, force: true });
    renameSync(fresh, path.dirname(page));
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** Vite's script; undefined where it is not installed (`npm ci --omit=dev`). */
function rendererCompiler() {
  try {
    return path.join(path.dirname(createRequire(import.meta.url).resolve('vite/package.json')), 'bin', 'vite.js');
  } catch {
    return undefined;
  }
}

/** Bundles the window when that is missing or older than its sources; without Vite, what there is has to do. */
export function buildRendererIfStale() {
  const last = existsSync(page) ? statSync(page).mtimeMs : -Infinity;
  const changed = Math.max(...filesUnder(renderer).map((file) => statSync(path.join(renderer, file)).mtimeMs));
  if (last >= changed || (rendererCompiler() === undefined && last > -Infinity)) return;
  process.stderr.write('Building the studio window...\n');
  buildRenderer();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    build();
    buildRenderer();
  } catch (error) {
    process.stderr.write(`Sidetune could not be built: ${error.message}\n`);
    process.exitCode = 1;
  }
}
