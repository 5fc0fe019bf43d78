/** The desktop app itself, wherever there is an Electron (ELECTRON_OVERRIDE_DIST_PATH, or one that was fetched) and a display. */
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { _electron, type ElectronApplication, type Page } from 'playwright';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildIfStale, buildRendererIfStale } from '../../src-main/cli/build.mjs';
import { canShow, electronPath } from '../../src-main/cli/find-electron.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const binary = electronPath(join(root, 'node_modules', 'electron'), process.env, {
  exists: existsSync,
  read: (file) => readFileSync(file, 'utf8'),
  platform: process.platform,
});
const runs = binary !== undefined && canShow(process.env, process.platform);
if (!runs)
  process.stderr.write(
    `SKIPPED: the desktop app is not tried: ${binary === undefined ? "Electron's binary is not here" : 'there is no display'}\n`,
  );

describe.skipIf(!runs)('the desktop app', () => {
  let folder: string;
  let app: ElectronApplication;
  let page: Page;

  beforeAll(async () => {
    buildIfStale();
    buildRendererIfStale();
    folder = await mkdtemp(join(tmpdir(), 'desktop-'));
    for (const [label, background] of [
      ['blue', '#2040c0'],
      ['red', '#c02020'],
    ] as const) {
      await mkdir(join(folder, 'colours', label), { recursive: true });
      for (let index = 0; index < 4; index++)
        await sharp({ create: { width: 16 + index, height: 16, channels: 3, background } })
          .png()
          .toFile(join(folder, 'colours', label, `${index}.png`));
    }
    const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
    app = await _electron.launch({
      executablePath: binary,
      args: [...sandbox, root, `--user-data-dir=${join(folder, 'user')}`, '--workspace', join(folder, 'workspace')],
    });
    page = await app.firstWindow();
    await page.waitForSelector('main');
  });
  afterAll(async () => {
    await app.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('opens the studio at its own address', () => expect(page.url()).toMatch(/^sidetune:\/\/studio\//));

  it('gives the page nothing of Node, and a strict policy', async () => {
    const globals = await page.evaluate('[typeof require, typeof process, typeof module, typeof Buffer]');
    expect(globals).toEqual(['undefined', 'undefined', 'undefined', 'undefined']);
    const policy: unknown = await page.evaluate(
      `fetch('./').then((answer) => answer.headers.get('content-security-policy'))`,
    );
    expect(policy).toContain("default-src 'none'");
    await expect(page.evaluate(`fetch('https://example.org/')`)).rejects.toThrow();
  });

  it('goes nowhere else, and opens nothing', async () => {
    const before = page.url();
    await page.evaluate(`{ location.href = 'https://example.org/'; }`);
    expect(await page.evaluate(`window.open('https://example.org/') === null`)).toBe(true);
    expect(page.url()).toBe(before);
    expect(app.windows()).toHaveLength(1);
  });

  it('has a menu made of its own commands', async () => {
    const ids = () =>
      app.evaluate(({ Menu }) =>
        (Menu.getApplicationMenu()?.items ?? []).flatMap(({ submenu }) => submenu?.items.map(({ id }) => id) ?? []),
      );
    await expect.poll(ids).toEqual(expect.arrayContaining(['go-datasets', 'add-dataset', 'palette']));
  });

  it('takes a folder in that was chosen in the system’s dialog, and shows its pictures', async () => {
    const colours = join(folder, 'colours');
    await app.evaluate(({ dialog }, path) => {
      dialog.showOpenDialog = () => Promise.resolve({ canceled: false, filePaths: [path] });
    }, colours);
    await app.evaluate(({ Menu }) => {
      Menu.getApplicationMenu()?.getMenuItemById('add-dataset')?.click();
    });
    await page.evaluate(`{ location.hash = '#/datasets'; }`);
    await page.getByText('colours').first().waitFor();
    const picture: unknown = await page.evaluate(
      `fetch('./picture/colours/0').then((answer) => answer.headers.get('content-type'))`,
    );
    expect(picture).toBe('image/jpeg');
  });
});
