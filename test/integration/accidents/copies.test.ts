/** Datasets that are copied by the command itself: what training needs of them, and kills in between. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cp, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { generatorFor, uniform } from '../../../src-main/training/random.ts';
import { processesBelow, signalTree } from './processes.ts';
import { filesBelow, Scene, until } from './scene.ts';

let scene: Scene;
beforeAll(async () => {
  scene = await Scene.set({ train: 48, val: 16, test: 16 });
});
afterAll(() => scene.clear());

const IMAGES = 80;
const add = (...more: string[]): string[] => ['datasets', 'add', scene.dataset, ...more];
const copyOf = (workspace: string): string => join(scene.path(workspace), 'datasets');

/** Temporary folders and files of a workspace's datasets. */
function halves(workspace: string): string[] {
  return existsSync(copyOf(workspace)) ? readdirSync(copyOf(workspace)).filter((name) => name.endsWith('.tmp')) : [];
}

function filesIn(folder: string): number {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).length;
  } catch {
    // It is removed or renamed meanwhile.
    return 0;
  }
}

describe('a dataset that was added with --copy', () => {
  it('trains and evaluates after the originals are gone, to the same numbers', async () => {
    const original = scene.path('lent');
    await cp(scene.dataset, original, { recursive: true });
    const referred = await scene.train('referred', '--epochs', '2');
    const added = await scene.succeed('copied', ['datasets', 'add', original, '--copy', '--name', 'mine']);
    expect(added.stderr).toContain(`copy images: ${IMAGES}/${IMAGES} files`);
    const { json } = await scene.succeed('copied', ['datasets', 'show', 'mine']);
    const { copy } = z.object({ source: z.literal(original), copy: z.string() }).parse(json);
    expect(await filesBelow(copy)).toHaveLength(IMAGES);
    await rm(original, { recursive: true });

    const trained = await scene.train('copied', '--dataset', 'mine', '--epochs', '2');
    expect([trained.loss, trained.val, trained.test]).toEqual([referred.loss, referred.val, referred.test]);
    // Features are named by contents: those of the copy are those of the originals.
    const features = (workspace: string) => readdirSync(join(scene.path(workspace), 'features'));
    expect(features('copied')).toEqual(features('referred'));
    await scene.succeed('copied', ['evaluate', trained.run, '--split', 'test']);

    const removed = await scene.succeed('copied', ['datasets', 'remove', 'mine']);
    expect(removed.json).toEqual({ name: 'mine', removed: true, runs: 1, copies: true });
    expect(await filesBelow(copyOf('copied'))).toEqual([]);
  });

  it('is there as a whole or not at all when the command is killed, and leaves nothing in the end', async () => {
    let kills = 0;
    for (const [index, count] of [0, 30, 79, IMAGES].entries()) {
      const workspace = `killed-${index}`;
      const inSight = () =>
        halves(workspace).some((name) => name.startsWith('.hearts') && filesIn(join(copyOf(workspace), name)) >= count);
      const whole = () => existsSync(join(copyOf(workspace), 'hearts', count === IMAGES ? 'files' : 'dataset.json'));
      const { code } = await scene.run(workspace, add('--copy'), {
        onStart: (child) =>
          void until(
            () => (count < IMAGES && inSight()) || whole(),
            () => child.exitCode !== null,
          ).then(() => signalTree(child.pid!, 'SIGKILL')),
      });
      if (code === null) kills++;
      const { datasets } = z
        .object({ datasets: z.array(z.object({ name: z.string(), problems: z.array(z.unknown()) })) })
        .parse((await scene.succeed(workspace, ['datasets', 'list'])).json);
      if (datasets.length > 0) {
        expect(datasets).toEqual([expect.objectContaining({ name: 'hearts', problems: [] })]);
        await scene.succeed(workspace, ['datasets', 'remove', 'hearts']);
        expect(await filesBelow(copyOf(workspace))).toEqual([]);
      }
      await scene.succeed(workspace, add('--copy'));
      expect(halves(workspace)).toEqual([]);
      const files = await filesBelow(join(copyOf(workspace), 'hearts'));
      expect(files.filter((file) => file.startsWith('files'))).toHaveLength(IMAGES);
      expect(new Set(files.map((file) => file.split('/').slice(0, 2).join('/'))).size).toBe(3);
    }
    expect(kills).toBeGreaterThan(1);
  });
});

/** Bytes that a process has read so far. */
function bytesRead(pid: number): number {
  try {
    return Number(/^rchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1] ?? 0);
  } catch {
    // It has ended meanwhile.
    return 0;
  }
}

describe('an import', () => {
  // Many more than the journal is written with at a time: the kill comes before the end on a busy machine too.
  const [side, count] = [500, 320];
  const args = () => ['datasets', 'add', scene.path('noise')];
  const journal = (workspace: string) => join(copyOf(workspace), '.noise.checked.jsonl');
  /** Images that the journal has as checked, a line each. */
  const checkedIn = (workspace: string) =>
    existsSync(journal(workspace)) ? readFileSync(journal(workspace), 'utf8').trim().split('\n').length : 0;
  let undisturbed: unknown;
  /** The lines of its images. */
  const listIn = async (workspace: string) => {
    const folder = join(copyOf(workspace), 'noise');
    return readFile(
      join(
        folder,
        readdirSync(folder).find((file) => file.startsWith('images-'))!,
      ),
      'utf8',
    );
  };
  beforeAll(async () => {
    const random = generatorFor(3, 0);
    const pixels = Buffer.from(Uint8Array.from({ length: 3 * side * side }, () => 256 * uniform(random)));
    for (let index = 0; index < count; index++) {
      pixels.writeUInt32LE(index);
      await mkdir(scene.path(`noise/${index % 2}`), { recursive: true });
      await sharp(pixels, { raw: { width: side, height: side, channels: 3 } })
        .png({ compressionLevel: 0 })
        .toFile(scene.path(`noise/${index % 2}/${index}.png`));
    }
    undisturbed = (await scene.succeed('undisturbed', args())).json;
  });

  it('that is killed goes on with what it had not checked, to the same entry', async () => {
    const { code } = await scene.run('killed', args(), {
      onStart: (child) =>
        void until(
          // The file is there before its first lines are.
          () => checkedIn('killed') >= 64,
          () => child.exitCode !== null,
        ).then(() => child.kill('SIGKILL')),
    });
    expect(code).toBe(null);
    expect(checkedIn('killed')).toBeGreaterThanOrEqual(64);
    expect((await scene.succeed('killed', args())).json).toEqual(undisturbed);
    expect(await listIn('killed')).toBe(await listIn('undisturbed'));
    expect(existsSync(journal('killed'))).toBe(false);
  });

  it.skipIf(!existsSync('/proc/self/io'))(
    'whose decoder is killed goes on with another, to the same entry',
    async () => {
      let killed = 0;
      const killDecoder = (command: number) => {
        const decoder = processesBelow(command).find((listed) => listed.args.includes('decoder-process'));
        // More than its own program: it is through some of the pictures.
        if (!decoder || bytesRead(decoder.pid) < (count * 3 * side * side) / 2) return false;
        process.kill(decoder.pid, 'SIGKILL');
        killed = decoder.pid;
        return true;
      };
      const disturbed = await scene.succeed('disturbed', args(), {
        onStart: (child) =>
          void until(
            () => killDecoder(child.pid!),
            () => child.exitCode !== null,
          ),
      });
      expect(killed).toBeGreaterThan(0);
      expect(disturbed.json).toEqual(undisturbed);
      expect(await listIn('disturbed')).toBe(await listIn('undisturbed'));
    },
  );
});
