/** Keys that work on every page, said in one list: the palette runs them, "?" shows them. */
import { router } from '../state/router.svelte.ts';
import { theme } from '../state/theme.svelte.ts';
import { text } from '../text/text.ts';

export interface Command {
  id: string;
  title: string;
  /** As pressed one after the other: `g d`; together with Ctrl or Command: `mod+k`. */
  keys: string | null;
  run: () => void;
}

class Overlays {
  palette = $state(false);
  shortcuts = $state(false);
}

export const overlays = new Overlays();

const goTo = (id: keyof typeof text.nav, keys: string): Command => ({
  id: `go-${id}`,
  title: text.commands.goTo(text.nav[id]),
  keys,
  run: () => router.go(id),
});

export const commands: readonly Command[] = [
  goTo('start', 'g s'),
  goTo('datasets', 'g d'),
  goTo('backbones', 'g b'),
  goTo('train', 'g t'),
  goTo('sweeps', 'g w'),
  goTo('runs', 'g r'),
  goTo('try', 'g y'),
  goTo('edge', 'g x'),
  goTo('settings', 'g e'),
  { id: 'theme-light', title: text.commands.light, keys: null, run: () => theme.choose('light') },
  { id: 'theme-dark', title: text.commands.dark, keys: null, run: () => theme.choose('dark') },
  { id: 'theme-system', title: text.commands.system, keys: null, run: () => theme.choose('system') },
  { id: 'shortcuts', title: text.commands.shortcuts, keys: '?', run: () => (overlays.shortcuts = true) },
];

export const palette: Command = {
  id: 'palette',
  title: text.commands.palette,
  keys: 'mod+k',
  run: () => (overlays.palette = !overlays.palette),
};

/** Commands whose keys are pressed together; they work while typing, too. */
export const together: Command[] = [palette];

let first: { key: string; at: number } | undefined;
const TOGETHER_MS = 1200;

export function pressed(event: KeyboardEvent): void {
  if ((event.ctrlKey || event.metaKey) && !event.altKey) {
    const keys = `mod+${event.shiftKey ? 'shift+' : ''}${event.key.toLowerCase()}`;
    const command = together.find((each) => each.keys === keys);
    if (command) event.preventDefault();
    command?.run();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (document.querySelector('dialog[open]')) return;
  const before = first && performance.now() - first.at < TOGETHER_MS ? `${first.key} ` : '';
  const command = commands.find(({ keys }) => keys === `${before}${event.key}` || keys === event.key);
  first = command ? undefined : { key: event.key, at: performance.now() };
  if (!command) return;
  event.preventDefault();
  command.run();
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest('input, textarea, select, [contenteditable]') !== null;
}
