/** The desktop app's own menu: the window's commands, and what needs the system's dialogs. */
import { addBackbone, addDataset } from './actions.ts';
import { commands, palette, together, type Command } from './shortcuts.svelte.ts';
import { connection } from '../state/studio.svelte.ts';
import { attempt } from '../state/toasts.svelte.ts';
import { text } from '../text/text.ts';

/** Gives the menu its commands; a browser has none to give them to. */
export function fillMenu(): void {
  const { desktop } = connection;
  if (!desktop) return;
  const adding: readonly Command[] = [
    {
      id: 'add-dataset',
      title: text.commands.addDataset,
      keys: 'mod+o',
      run: () => void attempt(() => desktop.chooseFolder().then((path) => (path ? addDataset(path) : undefined))),
    },
    {
      id: 'add-backbone',
      title: text.commands.addBackbone,
      keys: 'mod+shift+o',
      run: () =>
        void attempt(() => desktop.chooseFile(['.onnx']).then((path) => (path ? addBackbone(path) : undefined))),
    },
  ];
  together.push(...adding);
  const all = [...adding, ...commands, palette];
  void attempt(() => desktop.showMenu(all, (id) => all.find((command) => command.id === id)?.run()));
}
