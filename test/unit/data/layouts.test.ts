import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { folderLayout } from '../../../src-main/data/layouts/folder.ts';
import { listsLayout } from '../../../src-main/data/layouts/lists.ts';
import { chooseLayout } from '../../../src-main/data/sniff.ts';

let base: string;
let root: string;
let count = 0;
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'layouts-'));
});
beforeEach(async () => {
  root = join(base, String(count++));
  await mkdir(root);
});
afterAll(() => rm(base, { recursive: true }));

/** Files by path; a layout looks at names only, except for lists. */
async function put(files: Record<string, string> | string[]): Promise<void> {
  const entries = Array.isArray(files) ? files.map((path) => [path, ''] as const) : Object.entries(files);
  for (const [path, content] of entries) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
}

describe('class folders', () => {
  it('without splits: sorted classes, nested folders, odd names', async () => {
    await put([
      'dog/2.JPG',
      'dog/sub/1.png',
      'cat/a b "c" ü.jpeg',
      'cat/x\ny.webp',
      'cat/.hidden.png',
      'cat/Thumbs.db',
      '.git/x.png',
    ]);
    const scan = await folderLayout.scan(root);
    expect(scan.classes).toEqual(['cat', 'dog']);
    expect(scan.images).toEqual([
      { path: 'cat/a b "c" ü.jpeg', label: 0, split: undefined },
      { path: 'cat/x\ny.webp', label: 0, split: undefined },
      { path: 'dog/2.JPG', label: 1, split: undefined },
      { path: 'dog/sub/1.png', label: 1, split: undefined },
    ]);
    expect(scan.problems).toEqual([]);
  });

  it('with train, val and test', async () => {
    await put(['Train/a/1.png', 'Train/b/1.png', 'validation/a/2.png', 'test/b/3.png', 'test/c/3.png']);
    const scan = await folderLayout.scan(root);
    expect(scan.classes).toEqual(['a', 'b', 'c']);
    expect(scan.images.map(({ path, split }) => [path, split])).toEqual([
      ['Train/a/1.png', 'train'],
      ['Train/b/1.png', 'train'],
      ['test/b/3.png', 'test'],
      ['test/c/3.png', 'test'],
      ['validation/a/2.png', 'val'],
    ]);
  });

  it('with train and test alone: val is to be dealt', async () => {
    await put(['train/a/1.png', 'test/a/2.png']);
    const scan = await folderLayout.scan(root);
    expect(scan.images.map(({ split }) => split)).toEqual(['test', undefined]);
  });

  it('takes a class that happens to be called train for a class', async () => {
    await put(['train/1.png', 'bus/1.png']);
    expect((await folderLayout.scan(root)).classes).toEqual(['bus', 'train']);
  });

  it('lists what is no image or has no class', async () => {
    await put(['a/1.png', 'a/notes.txt', 'loose.jpg', 'README.md']);
    const { images, problems } = await folderLayout.scan(root);
    expect(images.length).toBe(1);
    expect(problems.map(({ kind, path }) => [kind, path])).toEqual([
      ['no-class', join(root, 'loose.jpg')],
      ['not-image', join(root, 'a/notes.txt')],
    ]);
  });

  it('follows links but no loops, and lists dead ones', async () => {
    await put(['a/1.png', 'elsewhere/in/2.png']);
    await symlink(root, join(root, 'a', 'loop'));
    await symlink(join(root, 'a', 'self'), join(root, 'a', 'self'));
    await symlink(join(root, 'nowhere'), join(root, 'a', 'dead.png'));
    await symlink(join(root, 'elsewhere', 'in'), join(root, 'a', 'linked'));
    const { images, problems } = await folderLayout.scan(root);
    const paths = images.map(({ path }) => path);
    expect(paths).toContain('a/linked/2.png');
    expect(paths.filter((path) => path.endsWith('1.png'))).toHaveLength(1);
    expect(problems.map(({ kind }) => kind).sort()).toContain('link-loop');
    expect(problems.some(({ kind, path }) => kind === 'unreadable' && path.endsWith('dead.png'))).toBe(true);
  });

  it.skipIf(process.platform === 'win32' || process.getuid?.() === 0)(
    'lists a folder that may not be read',
    async () => {
      await put(['a/1.png', 'a/locked/2.png']);
      await chmod(join(root, 'a', 'locked'), 0);
      const { problems } = await folderLayout.scan(root);
      await chmod(join(root, 'a', 'locked'), 0o755);
      expect(problems[0]).toMatchObject({ kind: 'unreadable', path: join(root, 'a', 'locked') });
    },
  );

  it('refuses classes that differ in case only, empty classes, and no classes', async () => {
    await put(['train/Cat/1.png', 'test/cat/2.png']);
    await expect(folderLayout.scan(root)).rejects.toThrow(/"cat" and "Cat" differ only in case/);
    await rm(join(root, 'test'), { recursive: true });
    await mkdir(join(root, 'train', 'dog'));
    await expect(folderLayout.scan(root)).rejects.toThrow(/class folder "dog" .* holds no images/);
    await rm(join(root, 'train'), { recursive: true });
    await expect(folderLayout.scan(root)).rejects.toThrow(/no class folders/);
  });
});

describe('VTAB-1K lists', () => {
  const lists = {
    'train800.txt': 'images/a b.jpg 0\nimages/c.jpg 1\r\n',
    'val200.txt': 'images/d.jpg 1\n',
    'train800val200.txt': 'images/a b.jpg 0\nimages/c.jpg 1\nimages/d.jpg 1\n',
    'test.txt': 'images/e.jpg 0\n\n',
    'classes.txt': 'zebra\nant\n',
  };

  it('splits at the last space and names the classes', async () => {
    await put(lists);
    expect(await listsLayout.scan(root)).toEqual({
      classes: ['zebra', 'ant'],
      images: [
        { path: 'images/a b.jpg', label: 0, split: 'train' },
        { path: 'images/c.jpg', label: 1, split: 'train' },
        { path: 'images/d.jpg', label: 1, split: 'val' },
        { path: 'images/e.jpg', label: 0, split: 'test' },
      ],
      problems: [],
    });
  });

  it('names classes by number without classes.txt, and reports those without images', async () => {
    await put({ 'train800val200.txt': 'x.jpg 0\ny.jpg 2\n' });
    const scan = await listsLayout.scan(root);
    expect(scan.classes).toEqual(['0', '1', '2']);
    expect(scan.images.map(({ split }) => split)).toEqual([undefined, undefined]);
    expect(scan.problems).toMatchObject([{ kind: 'empty-class' }]);
  });

  it.each([
    ['x.jpg 2', /label 2 in line 3 of ".*train800.txt" is out of range: classes.txt names 2 classes/],
    ['x.jpg -1', /line 3/],
    ['x.jpg', /line 3/],
    ['x.jpg 1.5', /line 3/],
    ['x.jpg 99999999999999999999', /out of range/],
    [' 1', /line 3/],
  ])('refuses the line "%s"', async (line, message) => {
    await put({ ...lists, 'train800.txt': `a.jpg 0\nb.jpg 1\n${line}\n` });
    await expect(listsLayout.scan(root)).rejects.toThrow(message);
  });

  it('refuses class names that appear twice', async () => {
    await put({ ...lists, 'classes.txt': 'ant\nAnt\n' });
    await expect(listsLayout.scan(root)).rejects.toThrow(/differ only in case/);
  });
});

describe('chooseLayout', () => {
  it('finds lists before folders, takes what is asked for, and says what is missing', async () => {
    await put({ 'train800.txt': '', 'images/a.png': '' });
    expect((await chooseLayout(root, 'auto')).format).toBe('lists');
    expect((await chooseLayout(root, 'folder')).format).toBe('folder');
    await rm(join(root, 'train800.txt'));
    expect((await chooseLayout(root, 'auto')).format).toBe('folder');
    await rm(join(root, 'images'), { recursive: true });
    await expect(chooseLayout(root, 'auto')).rejects.toThrow(/neither class folders nor VTAB-1K lists/);
    await expect(chooseLayout(join(root, 'none'), 'auto')).rejects.toThrow(/no folder/);
    await writeFile(join(root, 'file'), '');
    await expect(chooseLayout(join(root, 'file'), 'auto')).rejects.toThrow(/is a file/);
  });
});
