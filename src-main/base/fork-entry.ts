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

/**
 * The environment of a process that trains: large pages for what glibc allocates (Linux, glibc 2.35 on; elsewhere it
 * means nothing). A step walks through its tensors from end to end, and is 6 to 10 % sooner done with fewer page-table
 * look-ups.
 */
export function trainingEnvironment(): NodeJS.ProcessEnv {
  return { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1', ...process.env };
}

/**
 * Arguments of Node in a process that trains: a small nursery for its garbage, which is short-lived wrappers of buffers.
 * On its own V8 grows one of 48 MB for each thread, a fifth of what a small trainer takes.
 */
export const trainingArguments: readonly string[] = ['--max-semi-space-size=2'];
