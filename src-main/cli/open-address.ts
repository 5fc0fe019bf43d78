import { spawn } from 'node:child_process';

/** What opens an address in the user's browser, by system. */
export function openerOf(platform: NodeJS.Platform, address: string): readonly [command: string, ...args: string[]] {
  if (platform === 'darwin') return ['open', address];
  // `start` is a word of the shell's; the empty title keeps it from taking the address for one.
  if (platform === 'win32') return ['cmd', '/c', 'start', '""', address.replaceAll('&', '^&')];
  return ['xdg-open', address];
}

/** Opens an address in the user's browser. Where that cannot be done, whoever asked has the address before them. */
export function openAddress(address: string): void {
  const [command, ...args] = openerOf(process.platform, address);
  const child = spawn(command, args, { stdio: 'ignore', detached: true, windowsVerbatimArguments: true });
  child.on('error', () => undefined);
  child.unref();
}
