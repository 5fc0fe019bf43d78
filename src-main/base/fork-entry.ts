import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** The entry of a process beside the caller, named without its extension: the built `.js`, or the `.ts` source. */
export function entryBeside(name: string, callerUrl: string): URL {
  return new URL(`${name}.${callerUrl.endsWith('.ts') ? 'ts' : 'js'}`, callerUrl);
}

/** Node's arguments for an entry: a source needs tsx, found from here and not from the current folder. */
export function loaderArguments(entry: URL): string[] {
  if (!entry.pathname.endsWith('.ts')) return [];
  return ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href];
}

/** How to fork a process whose entry lies beside the caller, named without its extension. */
export function forkEntry(name: string, callerUrl: string): { entry: string; execArgv: string[] } {
  const entry = entryBeside(name, callerUrl);
  return { entry: fileURLToPath(entry), execArgv: loaderArguments(entry) };
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
