/** What several pages let the user do. */
import { library } from './state/library.svelte.ts';
import { studio } from './state/studio.svelte.ts';
import { attempt } from './state/toasts.svelte.ts';

/** Takes a folder in; it shows in the job bar. */
export async function addDataset(path: string): Promise<void> {
  await attempt(async () => library.keep(await studio.call('datasets.add', { path })));
}

export async function addBackbone(file: string): Promise<void> {
  await attempt(async () => library.keep(await studio.call('backbones.add', { file })));
}
