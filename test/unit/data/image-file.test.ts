import { mkdtemp, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { DatasetImage } from '../../../src-main/data/dataset.ts';
import { hashContent, readContent } from '../../../src-main/data/image-content.ts';
import { checkUnchanged } from '../../../src-main/data/image-file.ts';

let source: string;
let image: DatasetImage;
beforeAll(async () => {
  source = await mkdtemp(join(tmpdir(), 'image-file-'));
  const path = join(source, 'a.png');
  await writeFile(path, 'one');
  const { size: bytes, mtimeMs } = await stat(path);
  image = { path: 'a.png', label: 0, split: 'train', bytes, mtimeMs, sha256: hashContent(await readContent({ path })) };
});
afterAll(() => rm(source, { recursive: true }));

it('knows a picture by its size and time, and by its content where the time differs', async () => {
  expect(image.sha256).toBe('7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed');
  await checkUnchanged({ source }, image);
  await utimes(join(source, 'a.png'), 1, 1);
  await checkUnchanged({ source }, image);
});

it('says that a picture has changed and what to do', async () => {
  for (const content of ['two', 'longer']) {
    await writeFile(join(source, 'a.png'), content);
    await expect(checkUnchanged({ source }, image), content).rejects.toMatchObject({
      code: 'image-changed',
      message: `The picture "${join(source, 'a.png')}" is not the one that was imported: put the old one back, or import its folder again with "sidetune datasets add".`,
    });
  }
});

it('leaves a missing file to whoever reads it', async () => {
  await checkUnchanged({ source }, { ...image, path: 'none.png' });
});
