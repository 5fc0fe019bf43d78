/** The native menu, made of the window's own commands: their words and keys are written down once, in the window. */
import type { MenuItemConstructorOptions as MenuItem } from 'electron';
import type { MenuCommand } from './desktop-requests.ts';
import { words } from './words.ts';

export type { MenuItem };

export interface MenuOptions {
  commands: readonly MenuCommand[];
  platform: NodeJS.Platform;
  /** Whether developer tools are of use to whoever sits here. */
  developing: boolean;
  choose: (id: string) => void;
  revealWorkspace: () => void;
}

/** Menu of a command by the beginning of its id; what belongs nowhere else is found under View. */
const PLACES: readonly (readonly [prefix: string, menu: 'file' | 'go' | 'view' | 'help'])[] = [
  ['add-', 'file'],
  ['go-', 'go'],
  ['shortcuts', 'help'],
  ['', 'view'],
];

export function menuTemplate({ commands, platform, developing, choose, revealWorkspace }: MenuOptions): MenuItem[] {
  const mac = platform === 'darwin';
  const itemsOf = (menu: string): MenuItem[] =>
    commands
      .filter(({ id }) => PLACES.find(([prefix]) => id.startsWith(prefix))![1] === menu)
      .map((command, index) => itemOf(command, menu === 'go' ? index : undefined, choose));
  const separated = (...groups: MenuItem[][]): MenuItem[] =>
    groups
      .filter((group) => group.length > 0)
      .flatMap((group, index) => (index === 0 ? group : [{ type: 'separator' }, ...group]));
  const go = itemsOf('go');
  return [
    ...(mac ? [{ role: 'appMenu' } as const] : []),
    {
      label: words.menu.file,
      submenu: separated(
        itemsOf('file'),
        [{ label: words.menu.workspace, click: revealWorkspace }],
        [{ role: mac ? 'close' : 'quit' }],
      ),
    },
    { role: 'editMenu', label: words.menu.edit },
    ...(go.length > 0 ? [{ label: words.menu.go, submenu: go }] : []),
    {
      label: words.menu.view,
      submenu: separated(
        itemsOf('view'),
        [{ role: 'resetZoom' }, { role: 'zoomIn' }, { role: 'zoomOut' }, { role: 'togglefullscreen' }],
        [{ role: 'reload' }, ...(developing ? [{ role: 'toggleDevTools' } as const] : [])],
      ),
    },
    { role: 'windowMenu', label: words.menu.window },
    { role: 'help', label: words.menu.help, submenu: separated(itemsOf('help'), mac ? [] : [{ role: 'about' }]) },
  ];
}

/** @param page number of a page, whose key is Ctrl or Command with it; its keys in the window cannot be a menu's */
function itemOf({ id, title, keys }: MenuCommand, page: number | undefined, choose: (id: string) => void): MenuItem {
  const item = { id, label: title.replaceAll('&', '&&'), click: () => choose(id) };
  if (page !== undefined && page < 9) return { ...item, accelerator: `CmdOrCtrl+${page + 1}` };
  // The window hears these keys itself; the menu only shows them.
  if (keys?.includes('+')) return { ...item, accelerator: acceleratorOf(keys), registerAccelerator: false };
  return item;
}

/** `mod+shift+k` -> `CmdOrCtrl+Shift+K` */
function acceleratorOf(keys: string): string {
  const named: Readonly<Record<string, string>> = { mod: 'CmdOrCtrl', shift: 'Shift', alt: 'Alt' };
  return keys
    .split('+')
    .map((key) => named[key] ?? key.toUpperCase())
    .join('+');
}
