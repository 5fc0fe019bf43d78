/**
 * The app as electron-builder packs it, around a stand-in for Electron's binary, which cannot be fetched everywhere: what
 * is in the archive and beside it, the fuses, and the packed programs at work under Node.
 */
import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { listPackage } from '@electron/asar';
import sharp from 'sharp';
import { buildIfStale, buildRendererIfStale } from '../../../src-main/cli/build.mjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const modules = join(root, 'node_modules');
// electron-builder follows no link to modules that lie elsewhere.
const linked = lstatSync(modules).isSymbolicLink();
const packs = process.platform === 'linux' && !linked;
if (!packs)
  process.stderr.write(
    `SKIPPED: the app is packed here on Linux only, ${linked ? 'from a clone with node_modules of its own' : ''}\n`,
  );

/** Where Electron keeps its fuses: a mark, the version and number of fuses, and one character for each. */
const FUSES = 'dL7pKGdnNz796PbbjQWNKmHXBZaB9tsX\x01\x09111111111';

describe.skipIf(!packs)('the packed app', () => {
  let folder: string;
  let app: string;
  let files: string[];
  const unpacked = (path: string) => join(app, 'resources/app.asar.unpacked', path);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'packed-'));
    buildIfStale();
    buildRendererIfStale();
    const electron = join(folder, 'electron');
    await mkdir(join(electron, 'resources'), { recursive: true });
    await writeFile(join(electron, 'electron'), `\x7fELF${FUSES}`, { mode: 0o755, encoding: 'latin1' });
    for (const file of ['LICENSE', 'LICENSES.chromium.html', 'version']) await writeFile(join(electron, file), '');
    const builder = join(modules, 'electron-builder/cli.js');
    const output = join(folder, 'release');
    const flags = [
      '--linux',
      'dir',
      '--publish',
      'never',
      `-c.electronDist=${electron}`,
      `-c.directories.output=${output}`,
    ];
    execFileSync(process.execPath, [builder, ...flags], { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] });
    app = join(
      output,
      readdirSync(output).find((name) => name.startsWith('linux'))!,
    );
    files = listPackage(join(app, 'resources/app.asar'), { isPack: false });
  }, 300_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('has the window and the main process in its archive, and neither sources nor tools anywhere', () => {
    for (const file of [
      '/package.json',
      '/dist/electron/main.js',
      '/dist/electron/preload.cjs',
      '/dist/renderer/index.html',
    ])
      expect(files).toContain(file);
    for (const file of ['dist/electron/main.js', 'dist/electron/preload.cjs', 'dist/renderer'])
      expect(existsSync(unpacked(file)), file).toBe(false);
    expect(files.filter((file) => !file.slice(1).includes('/')).sort()).toEqual([
      '/LICENSE',
      '/dist',
      '/node_modules',
      '/package.json',
      '/resources',
    ]);
    const stray = /^\/(src-main|src-renderer|test|node_modules\/(electron|vite|svelte|typescript|playwright)\/)|\.map$/;
    expect(files.filter((file) => stray.test(file)).slice(0, 10)).toEqual([]);
  });

  it('has native code of this system only, and on the disk', () => {
    const native = files.filter((file) => /\.(node|dll|dylib|so(\.\d+)*)$/.test(file));
    expect(native.filter((file) => /darwin|win32|sharp-lin|libvips-lin/.test(file))).toEqual([]);
    expect(native).toContainEqual(expect.stringContaining(`/linux/${process.arch}/onnxruntime_binding.node`));
    expect(native.filter((file) => !existsSync(unpacked(file)))).toEqual([]);
  });

  it('cannot be turned into a Node', async () => {
    const builder = createRequire(createRequire(import.meta.url).resolve('electron-builder/package.json'));
    const library = createRequire(builder.resolve('app-builder-lib/package.json'));
    const { getCurrentFuseWire, FuseV1Options } = library('@electron/fuses') as {
      getCurrentFuseWire: (binary: string) => Promise<Record<number, number>>;
      FuseV1Options: Record<string, number>;
    };
    const wire = await getCurrentFuseWire(join(app, 'sidetune-studio'));
    const state = (name: string) => String.fromCharCode(wire[FuseV1Options[name]!]!);
    const off = ['RunAsNode', 'EnableNodeOptionsEnvironmentVariable', 'EnableNodeCliInspectArguments'];
    expect(off.map(state)).toEqual(['0', '0', '0']);
    expect(state('OnlyLoadAppFromAsar')).toBe('1');
  });

  it('decodes pictures in its own process, without the native sharp', async () => {
    const path = join(folder, 'red.png');
    await sharp({ create: { width: 8, height: 8, channels: 3, background: '#ff0000' } })
      .png()
      .toFile(path);
    const decoder = fork(unpacked('dist/data/decode/decoder-process.js'), { serialization: 'advanced' });
    expect((await once(decoder, 'message'))[0]).toEqual({ ready: true });
    decoder.send({ id: 1, image: { path }, thumbnail: 4 });
    expect((await once(decoder, 'message'))[0]).toMatchObject({ id: 1, jpeg: expect.any(Uint8Array) as Uint8Array });
    decoder.kill('SIGKILL');
  });

  it('trains and computes in its own processes', async () => {
    const trainer = fork(unpacked('dist/training/trainer-process.js'), { serialization: 'advanced' });
    expect((await once(trainer, 'message'))[0]).toEqual({ kind: 'ready' });
    trainer.kill('SIGKILL');
    const probe = fork(unpacked('dist/studio/probe-process.js'), [JSON.stringify({ ask: 'compiled' })]);
    expect((await once(probe, 'message'))[0]).toMatchObject({ works: true });
    probe.kill('SIGKILL');
  });
});
