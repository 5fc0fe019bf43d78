import { basename } from 'node:path';

/** The workspace that was asked for; what else stands on the line is Electron's and Chromium's. */
export function workspaceArgument(argv: readonly string[]): string | undefined {
  const joined = argv.find((argument) => argument.startsWith('--workspace='));
  if (joined !== undefined) return joined.slice('--workspace='.length);
  const index = argv.indexOf('--workspace');
  return index === -1 ? undefined : (argv[index + 1] ?? '');
}

/** `/…/trainer-process.js` -> `trainer-process`, as process lists show it. */
export function serviceName(entry: string): string {
  return basename(entry).replace(/\.[cm]?[jt]s$/, '');
}
