import { fileURLToPath } from 'node:url';

/**
 * How to fork a process whose entry lies beside the caller, named without its extension: the built `.js`, or under
 * tsx and vitest the `.ts` source.
 */
export function forkEntry(name: string, callerUrl: string): { entry: string; execArgv: string[] } {
  const source = callerUrl.endsWith('.ts');
  const entry = fileURLToPath(new URL(`${name}.${source ? 'ts' : 'js'}`, callerUrl));
  return { entry, execArgv: source ? ['--import', 'tsx'] : [] };
}
