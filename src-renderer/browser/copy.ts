import { attempt, toasts } from '../state/toasts.svelte.ts';
import { text } from '../text/text.ts';

/** Puts a text into the clipboard, and says so. */
export async function copy(copied: string): Promise<void> {
  await attempt(async () => {
    await navigator.clipboard.writeText(copied);
    toasts.say(text.settings.copied);
  });
}
