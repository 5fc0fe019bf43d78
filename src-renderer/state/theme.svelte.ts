/** Light, dark, or as the system is; kept in this browser. */
export type ThemeChoice = 'system' | 'light' | 'dark';

const KEY = 'sidetune-theme';
const system = matchMedia('(prefers-color-scheme: dark)');

class Theme {
  choice = $state<ThemeChoice>(parse(localStorage.getItem(KEY)));
  private systemDark = $state(system.matches);
  readonly dark = $derived(this.choice === 'dark' || (this.choice === 'system' && this.systemDark));

  constructor() {
    system.addEventListener('change', ({ matches }) => (this.systemDark = matches));
    this.apply();
  }

  choose(choice: ThemeChoice): void {
    this.choice = choice;
    localStorage.setItem(KEY, choice);
  }

  /** Keeps the document in step; call it within an effect. */
  apply(): void {
    document.documentElement.dataset.theme = this.dark ? 'dark' : 'light';
  }
}

function parse(text: string | null): ThemeChoice {
  return text === 'light' || text === 'dark' ? text : 'system';
}

export const theme = new Theme();
