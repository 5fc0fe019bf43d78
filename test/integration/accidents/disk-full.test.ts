/** A disk that fills up: a small one in memory, which only root may mount. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, statfsSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunResult } from '../../../src-main/training/run-folder.ts';
import { errorCode } from '../../../src-main/workspace/atomic.ts';
import { filesBelow, Scene, until } from './scene.ts';

const DISK = 'disk';
const SIZE = 24 * 2 ** 20;
let scene: Scene;
let whole: RunResult;
let mounted = false;
beforeAll(async () => {
  scene = await Scene.set();
  mkdirSync(scene.path(DISK));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE}`, 'tmpfs', scene.path(DISK)], { stdio: 'ignore' });
    mounted = true;
  } catch {
    console.warn('SKIPPED: the tests of a full disk want to mount a small one, which needs root.');
    return;
  }
  whole = await scene.train('whole');
});
afterAll(async () => {
  if (mounted) execFileSync('umount', [scene.path(DISK)]);
  await scene.clear();
});

const ballast = () => join(scene.path(DISK), 'ballast');

/** Fills the disk but for so many bytes. */
function fillDisk(but: number): void {
  const { bavail, bsize, blocks } = statfsSync(scene.path(DISK));
  // After a test that ran out of time the folder may be one of the machine's own disk again.
  if (blocks * bsize > 2 * SIZE) throw new Error('This is not the small disk.');
  try {
    writeFileSync(ballast(), Buffer.alloc(Math.max(0, bavail * bsize - but)));
  } catch (error) {
    // A training that goes on writing takes the last of it: full is what it was to be.
    if (errorCode(error) !== 'ENOSPC') throw error;
  }
}

const freeDisk = () => rm(ballast(), { force: true });

/** Empties the disk and puts a copy of the undisturbed workspace on it, without some of its folders. */
async function begin(...without: string[]): Promise<string> {
  for (const name of readdirSync(scene.path(DISK))) await rm(join(scene.path(DISK), name), { recursive: true });
  await scene.copy('whole', `${DISK}/workspace`, ...without);
  return `${DISK}/workspace`;
}

async function expectNoHalves(folder: string): Promise<void> {
  expect((await filesBelow(folder)).filter((file) => file.endsWith('.tmp'))).toEqual([]);
}

describe('a full disk', () => {
  it('is told before an extraction, which needs more', async ({ skip }) => {
    if (!mounted) skip();
    const workspace = await begin('features', 'runs');
    fillDisk(200_000);
    const { code, message } = await scene.fail(workspace, scene.trainArgs());
    expect(code).toBe('disk-full');
    expect(message).toMatch(/free/);
    await expectNoHalves(scene.path(workspace));
    await freeDisk();
    expect((await scene.train(workspace)).test).toEqual(whole.test);
  });

  it('stops a training at its checkpoint, and the run goes on', async ({ skip }) => {
    if (!mounted) skip();
    const workspace = await begin('runs');
    const stopped = scene.fail(workspace, scene.trainArgs(), {
      onStart: (child) =>
        void until(
          () => scene.epochsDone(workspace) >= 2,
          () => child.exitCode !== null,
        ).then(() => fillDisk(0)),
    });
    expect((await stopped).code).toBe('disk-full');
    await expectNoHalves(scene.path(workspace));
    await freeDisk();
    expect((await scene.resume(workspace, scene.runs(workspace)[0]!)).test).toEqual(whole.test);
  });

  it('stops an export and an import with no half file', async ({ skip }) => {
    if (!mounted) skip();
    const workspace = await begin();
    const out = join(scene.path(DISK), 'out');
    fillDisk(100_000);
    expect((await scene.fail(workspace, ['export', whole.run, '--out', out])).code).toBe('disk-full');
    await expectNoHalves(scene.path(DISK));
    await freeDisk();
    await scene.succeed(workspace, ['export', whole.run, '--out', out]);
    fillDisk(200_000);
    const copying = ['datasets', 'add', scene.dataset, '--copy', '--name', 'copied'];
    const { code, message } = await scene.fail(workspace, copying);
    expect(code).toBe('disk-full');
    expect(message).toMatch(
      /^A copy of the images of "copied" needs [\d.]+ MB and the disk of .* add them without --copy/,
    );
    await expectNoHalves(scene.path(workspace));
    await freeDisk();
    await scene.succeed(workspace, copying);
    fillDisk(8192);
    const add = ['datasets', 'add', scene.dataset, '--name', 'other'];
    expect((await scene.fail(workspace, add)).code).toBe('disk-full');
    await freeDisk();
    await expectNoHalves(scene.path(workspace));
    await scene.succeed(workspace, add);
  });
});
