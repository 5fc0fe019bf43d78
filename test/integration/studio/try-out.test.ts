import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { TryOut } from '../../../src-main/studio/try-out.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';
import { Stage } from '../stage.ts';

let stage: Stage;
let workspace: Workspace;
let run: string;
let bytes: Uint8Array;

beforeAll(async () => {
  stage = await Stage.set();
  ({ run } = await stage.train('w', '--method', 'linear', '--epochs', '2'));
  workspace = await Workspace.open(stage.workspace('w'));
  bytes = await readFile(join(stage.dataset, 'images', 'test-00000.png'));
});
afterAll(() => stage.clear());

it('answers pictures one after the other, whatever comes between them, and gives back what it holds', async () => {
  const tryOut = new TryOut(workspace, { idleMs: 50 });
  const picture = { name: 'a.png', bytes };
  const answers = await Promise.allSettled([
    tryOut.classify(run, picture),
    tryOut.classify(run, { name: 'cut.png', bytes: bytes.subarray(0, 100) }),
    tryOut.classify('nothing', picture),
    tryOut.classify(run, picture),
  ]);
  const [first, cut, unknown, last] = answers;
  expect(first).toMatchObject({ status: 'fulfilled' });
  expect(cut).toMatchObject({ status: 'rejected', reason: { code: 'image' } });
  expect((cut as PromiseRejectedResult).reason).toHaveProperty(
    'message',
    expect.stringMatching(/^"cut.png" cannot be/),
  );
  expect(unknown).toMatchObject({ status: 'rejected', reason: { code: 'no-run' } });
  expect(last).toMatchObject({ value: { top: (first as PromiseFulfilledResult<{ top: object[] }>).value.top } });
  expect(tryOut.warm).toBe(true);
  await expect.poll(() => tryOut.warm).toBe(false);
  await tryOut.classify(run, picture);
  await tryOut.close();
  expect(tryOut.warm).toBe(false);
  await expect(tryOut.classify(run, picture)).rejects.toMatchObject({ code: 'closed' });
});
