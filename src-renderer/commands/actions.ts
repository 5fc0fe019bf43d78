/** What several pages let the user do. */
import { library } from '../state/library.svelte.ts';
import { studio } from '../state/studio.svelte.ts';
import { attempt, toasts } from '../state/toasts.svelte.ts';
import { text } from '../text/text.ts';

/** Takes a folder in; it shows in the job bar. */
export async function addDataset(path: string, copy = false): Promise<void> {
  await attempt(async () => library.keep(await studio.call('datasets.add', { path, ...(copy ? { copy } : {}) })));
}

/** Draws the sample where that has not been done, and takes it in. */
export async function openSample(): Promise<void> {
  await attempt(async () => library.keep(await studio.call('datasets.sample', {})));
}

export async function addBackbone(file: string): Promise<void> {
  await attempt(async () => library.keep(await studio.call('backbones.add', { file })));
}

/** Puts runs into the trash; the toast takes them out again. @returns whether they went */
export async function removeRuns(runs: readonly string[]): Promise<boolean> {
  const answer = await attempt(() => studio.call('runs.remove', { runs: [...runs] }));
  if (!answer) return false;
  toasts.say(text.runs.removed(answer.removed), async () => {
    await studio.call('runs.restore', { runs: answer.removed });
  });
  return true;
}
