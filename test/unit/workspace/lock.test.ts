import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startOf } from '../../../src-main/base/process-identity.ts';
import { isLeftOver } from '../../../src-main/workspace/atomic.ts';
import { isHeld, takeLock, withLock } from '../../../src-main/workspace/lock.ts';

let folder: string;
let path: string;
let other: ChildProcess;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lock-'));
  path = join(folder, 'inside', 'lock');
  other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  await once(other, 'spawn');
});
afterEach(async () => {
  other.kill('SIGKILL');
  await rm(folder, { recursive: true });
});

/** As if a process of this number and start had taken the lock. */
async function leaveLock(content: string): Promise<void> {
  const release = await takeLock(path);
  await release!();
  await writeFile(path, content);
}

describe('a lock', () => {
  it('is held until it is given back, and leaves nothing', async () => {
    const release = await takeLock(path);
    expect(await isHeld(path)).toBe(true);
    expect(await takeLock(path)).toBeUndefined();
    await release!();
    expect(await isHeld(path)).toBe(false);
    expect(await readdir(join(folder, 'inside'))).toEqual([]);
  });

  it('of a process that runs is refused', async () => {
    await leaveLock(`${other.pid}${startOf(other.pid!) === undefined ? '' : ` ${startOf(other.pid!)}`}`);
    expect(await isHeld(path)).toBe(true);
    expect(await takeLock(path)).toBeUndefined();
    other.kill('SIGKILL');
    await once(other, 'exit');
    expect(await isHeld(path)).toBe(false);
    await (await takeLock(path))!();
  });

  it.skipIf(startOf(process.pid) === undefined)('of an earlier process of the same number is taken over', async () => {
    await leaveLock(`${other.pid} 1`);
    expect(await isHeld(path)).toBe(false);
    const release = await takeLock(path);
    expect(await readFile(path, 'utf8')).toBe(`${process.pid} ${startOf(process.pid)}`);
    await release!();
  });

  it.each(['', '\0\0\0\0', 'x', '0', '-1', String(process.pid), `${process.pid} 1`])(
    'that says %j is nobody’s',
    async (content) => {
      await leaveLock(content);
      expect(await isHeld(path)).toBe(false);
      await (await takeLock(path))!();
      expect(await readdir(join(folder, 'inside'))).toEqual([]);
    },
  );

  it('lets one task at a time through', async () => {
    let inside = 0;
    let most = 0;
    const task = () =>
      withLock(path, async () => {
        most = Math.max(most, ++inside);
        await new Promise((resolve) => setTimeout(resolve, 5));
        inside--;
      });
    await Promise.all(Array.from({ length: 6 }, task));
    expect(most).toBe(1);
  });

  it('that is not given back in time is told', async () => {
    await leaveLock(String(other.pid));
    await expect(withLock(path, () => Promise.resolve(1), { patienceMs: 60 })).rejects.toMatchObject({
      code: 'busy',
      message: expect.stringContaining(path) as string,
    });
  });
});

describe('a temporary name', () => {
  it.skipIf(startOf(process.pid) === undefined)(
    'is left over when its process is gone, whoever has its number now',
    () => {
      expect(isLeftOver(`.map.${other.pid}-${startOf(other.pid!)}.0a1b2c3d.tmp`)).toBe(false);
      expect(isLeftOver(`.map.${other.pid}-1.0a1b2c3d.tmp`)).toBe(true);
      expect(isLeftOver(`.map.${process.pid}-1.0a1b2c3d.tmp`)).toBe(true);
    },
  );
});
