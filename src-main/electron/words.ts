/** Words of the desktop that are not the window's. */
export const words = {
  product: 'Sidetune Studio',
  cannotOpen: 'Sidetune Studio cannot open',
  internal: 'Something went wrong in Sidetune Studio',
  menu: {
    file: '&File',
    edit: '&Edit',
    go: '&Go',
    view: '&View',
    window: '&Window',
    help: '&Help',
    workspace: 'Show the Workspace Folder',
  },
  leave: {
    message: (running: number) =>
      running === 1 ? 'A task is still running.' : `${running} tasks are still running or waiting.`,
    detail: 'What has been done is kept, and can be resumed when the studio is opened again.',
    quit: 'Quit',
    stay: 'Stay',
  },
  gone: {
    message: 'The window has crashed several times in a row.',
    detail: 'What runs goes on meanwhile, and nothing is lost.',
    again: 'Open It Again',
    quit: 'Quit',
  },
  notice: {
    done: (kind: string) => `${sentence(kind)} is done`,
    failed: (kind: string) => `${sentence(kind)} has failed`,
  },
} as const;

const kinds: Readonly<Record<string, string>> = {
  train: 'A training run',
  sweep: 'A sweep',
  import: 'An import',
  evaluate: 'An evaluation',
  export: 'An export',
  tradeoff: 'A table of accuracy against transfer',
};

function sentence(kind: string): string {
  return kinds[kind] ?? 'A task';
}
