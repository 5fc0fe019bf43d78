import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { checkSpace } from '../../../src-main/features/disk-space.ts';

it('lets pass what fits, also into a folder that is not made yet', async () => {
  await checkSpace(tmpdir(), 1);
  await checkSpace(join(tmpdir(), 'none', 'features'), 1);
});

it('says how much is needed and how much is free', async () => {
  const folder = join(tmpdir(), 'none', 'features');
  await expect(checkSpace(folder, 1e18)).rejects.toMatchObject({
    code: 'disk-full',
    message: expect.stringMatching(
      /^The features need 1,000,000,000,000 MB and the disk of ".*features" has [\d,.]+ MB free: free some space/,
    ) as string,
  });
});
