import { describe, expect, it } from 'vitest';
import { menuTemplate, type MenuItem, type MenuOptions } from '../../../src-main/electron/menu.ts';

const commands = [
  { id: 'add-dataset', title: 'Add a dataset', keys: 'mod+o' },
  { id: 'go-start', title: 'Go to Start', keys: 'g s' },
  { id: 'go-runs', title: 'Go to Runs & results', keys: 'g r' },
  { id: 'theme-dark', title: 'Dark theme', keys: null },
  { id: 'palette', title: 'All commands', keys: 'mod+shift+k' },
  { id: 'shortcuts', title: 'Shortcuts', keys: '?' },
];

function template(changed: Partial<MenuOptions> = {}): MenuItem[] {
  const nothing = () => undefined;
  return menuTemplate({
    commands,
    platform: 'linux',
    developing: false,
    choose: nothing,
    revealWorkspace: nothing,
    ...changed,
  });
}

const itemsOf = (menu: MenuItem[], label: string) => menu.find((item) => item.label === label)!.submenu as MenuItem[];
const all = (menu: MenuItem[]): MenuItem[] =>
  menu.flatMap((item) => [item, ...(Array.isArray(item.submenu) ? all(item.submenu) : [])]);

describe('the menu', () => {
  it('has every command of the window once, and runs it', () => {
    const chosen: string[] = [];
    const items = all(template({ choose: (id) => chosen.push(id) }));
    for (const { id } of commands) {
      const found = items.filter((item) => item.id === id);
      expect(found, id).toHaveLength(1);
      (found[0]!.click as () => void)();
    }
    expect(chosen).toEqual(commands.map(({ id }) => id));
  });

  it('has pages under numbers, and shows the keys that the window hears itself', () => {
    const menu = template();
    expect(itemsOf(menu, '&Go')).toMatchObject([
      { id: 'go-start', accelerator: 'CmdOrCtrl+1' },
      // An ampersand alone would underline what follows.
      { id: 'go-runs', accelerator: 'CmdOrCtrl+2', label: 'Go to Runs && results' },
    ]);
    expect(itemsOf(menu, '&File')[0]).toMatchObject({ accelerator: 'CmdOrCtrl+O', registerAccelerator: false });
    expect(itemsOf(menu, '&View').find(({ id }) => id === 'palette')).toMatchObject({
      accelerator: 'CmdOrCtrl+Shift+K',
      registerAccelerator: false,
    });
  });

  it('has what each system expects, and developer tools for developers only', () => {
    const roles = (menu: MenuItem[]) => all(menu).map(({ role }) => role);
    expect(roles(template())).toEqual(expect.arrayContaining(['editMenu', 'windowMenu', 'help', 'quit', 'about']));
    expect(roles(template())).not.toContain('appMenu');
    expect(roles(template({ platform: 'darwin' }))[0]).toBe('appMenu');
    expect(roles(template({ platform: 'darwin' }))).not.toContain('quit');
    expect(roles(template())).not.toContain('toggleDevTools');
    expect(roles(template({ developing: true }))).toContain('toggleDevTools');
  });

  it('begins and ends no list with a line', () => {
    for (const menu of [template(), template({ commands: [] }), template({ platform: 'darwin', commands: [] })])
      for (const { submenu } of menu) {
        if (!Array.isArray(submenu) || submenu.length === 0) continue;
        const lines = submenu.map(({ type }) => type === 'separator');
        expect(lines[0]).toBe(false);
        expect(lines.at(-1)).toBe(false);
        expect(lines.some((line, index) => line && lines[index + 1])).toBe(false);
      }
  });
});
