import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { FileHandle } from 'node:fs/promises';
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  appendJsonLine,
  diskFull,
  readJsonLines,
  temporaryName,
  writeFileAtomic,
} from '../../../src-main/workspace/atomic.ts';
import { safeName } from '../../../src-main/workspace/names.ts';
import { writeFully } from '../../../src-main/workspace/safetensors.ts';
import { sweepTemporaries } from '../../../src-main/workspace/sweep.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'workspace-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('writeFileAtomic', () => {
  it('replaces a file whole and leaves nothing beside it', async () => {
    const path = join(folder, 'new', 'file.txt');
    await writeFileAtomic(path, 'old content');
    await writeFileAtomic(path, [Buffer.from('ne'), Buffer.from('w')]);
    expect(await readFile(path, 'utf8')).toBe('new');
    expect(await readdir(join(folder, 'new'))).toEqual(['file.txt']);
  });

  it('leaves no temporary file when it cannot take the name', async () => {
    const path = join(folder, 'taken');
    await mkdir(join(path, 'inside'), { recursive: true });
    await expect(writeFileAtomic(path, 'x')).rejects.toThrow();
    expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('says that a disk is full', () => {
    const error = Object.assign(new Error('write'), { code: 'ENOSPC' });
    expect(diskFull(error, '/a/b')).toMatchObject({ code: 'disk-full' });
    expect(String(diskFull(error, '/a/b'))).toContain('"/a/b"');
    const other = new Error('other');
    expect(diskFull(other, '/a/b')).toBe(other);
  });
});

describe('sweepTemporaries', () => {
  it('removes what dead processes left, files and folders, and nothing else', async () => {
    const place = await mkdtemp(join(folder, 'sweep-'));
    const child = spawn(process.execPath, ['-e', '']);
    await once(child, 'exit');
    const kept = [
      basename(temporaryName('map.bin')),
      'map.bin',
      `map.bin.${child.pid}.0a1b2c3d.tmp`,
      `.map.bin.${child.pid}.tmp`,
      '.hidden',
    ];
    for (const name of kept) await writeFile(join(place, name), '');
    await writeFile(join(place, `.map.bin.${child.pid}.0a1b2c3d.tmp`), '');
    await mkdir(join(place, `.set.${child.pid}.0a1b2c3d.tmp`, 'inside'), { recursive: true });
    await sweepTemporaries(place);
    expect((await readdir(place)).sort()).toEqual(kept.sort());
    await sweepTemporaries(join(place, 'none'));
  });
});

describe('writeFully', () => {
  it('goes on where a write took less than it was given', async () => {
    const written: number[] = [];
    const file = {
      write: (data: Uint8Array, offset: number, length: number, position: number) => {
        const bytesWritten = Math.min(length, 3);
        for (let i = 0; i < bytesWritten; i++) written[position + i] = data[offset + i]!;
        return Promise.resolve({ bytesWritten, buffer: data });
      },
    };
    await writeFully(file as unknown as FileHandle, Uint8Array.of(1, 2, 3, 4, 5, 6, 7), 2);
    expect(written.slice(2)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });
});

describe('JSON lines', () => {
  it('reads what was appended, and nothing from a missing file', async () => {
    const path = join(folder, 'lines.jsonl');
    expect(await readJsonLines(path)).toEqual([]);
    await appendJsonLine(path, { epoch: 1 });
    await appendJsonLine(path, { epoch: 2, note: 'a\nb' });
    expect(await readJsonLines(path)).toEqual([{ epoch: 1 }, { epoch: 2, note: 'a\nb' }]);
  });

  it('tolerates a torn last line and never joins the next to it', async () => {
    const path = join(folder, 'torn.jsonl');
    await appendJsonLine(path, { epoch: 1 });
    await appendFile(path, '{"epoch": 2, "lo');
    expect(await readJsonLines(path)).toEqual([{ epoch: 1 }]);
    await appendJsonLine(path, { epoch: 3 });
    expect(await readJsonLines(path)).toEqual([{ epoch: 1 }, { epoch: 3 }]);
    await appendFile(path, '{"epoch":4}');
    await appendJsonLine(path, { epoch: 5 });
    expect(await readJsonLines(path)).toEqual([{ epoch: 1 }, { epoch: 3 }, { epoch: 4 }, { epoch: 5 }]);
  });

  it('names a damaged line in the middle', async () => {
    const path = join(folder, 'damaged.jsonl');
    await writeFile(path, '{"a":1}\n{"b\n{"c":1}\n');
    await expect(readJsonLines(path)).rejects.toThrow(/Line 2 of ".*damaged.jsonl" is damaged/);
  });
});

describe('Workspace', () => {
  it('makes its root and lists the folders of a kind', async () => {
    const workspace = await Workspace.open(join(folder, 'deep', 'home'));
    expect(await workspace.list('datasets')).toEqual([]);
    for (const name of ['b', 'a c', '.hidden']) await mkdir(join(workspace.datasets, name), { recursive: true });
    await writeFile(join(workspace.datasets, 'file'), '');
    expect(await workspace.list('datasets')).toEqual(['a c', 'b']);
    expect(workspace.dataset('b')).toBe(join(workspace.root, 'datasets', 'b'));
    expect(workspace.run('1')).toBe(join(workspace.root, 'runs', '1'));
  });

  it('takes SIDETUNE_HOME when no root is given', async () => {
    const before = process.env.SIDETUNE_HOME;
    process.env.SIDETUNE_HOME = join(folder, 'from-environment');
    try {
      expect((await Workspace.open()).root).toBe(join(folder, 'from-environment'));
    } finally {
      if (before === undefined) delete process.env.SIDETUNE_HOME;
      else process.env.SIDETUNE_HOME = before;
    }
  });

  it('refuses names that leave their folder or that some system cannot store', async () => {
    const workspace = await Workspace.open(folder);
    for (const name of [
      '',
      '.',
      '..',
      '../x',
      'a/b',
      'a\\b',
      'a\nb',
      '.a',
      'a.',
      'a ',
      'CON',
      'nul.txt',
      'a:b',
      'x'.repeat(101),
    ])
      expect(() => workspace.dataset(name), name).toThrow(/cannot name a dataset/);
    for (const name of ['a', 'my set', 'größe', 'v1.2', '日本']) expect(workspace.dataset(name)).toContain(name);
  });

  it('takes names that every file system can store: at most 200 bytes', async () => {
    const workspace = await Workspace.open(folder);
    expect(workspace.dataset('日'.repeat(66))).toContain('日'.repeat(66));
    expect(() => workspace.dataset('日'.repeat(67))).toThrow(/at most 100 characters and 200 bytes/);
    expect(safeName('日'.repeat(90))).toBe('日'.repeat(66));
    expect(safeName('😀'.repeat(60))).toBe('😀'.repeat(50));
    await writeFileAtomic(join(folder, safeName('😀'.repeat(60))), 'x');
  });

  it('makes safe names of any text', () => {
    expect(safeName('a/b:c')).toBe('a-b-c');
    expect(safeName(' .x. ')).toBe('x');
    expect(safeName('aux')).toBe('_aux');
    expect(safeName('...')).toBe('');
  });

  it('refuses a root that is a file', async () => {
    const path = join(folder, 'plain-file');
    await writeFile(path, '');
    await expect(Workspace.open(path)).rejects.toThrow(/plain-file" cannot be made/);
  });
});
