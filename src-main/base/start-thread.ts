import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { unpacked } from './unpacked.ts';

/**
 * Starts a worker thread whose entry lies beside the caller, named without its extension: the built `.js`, or the
 * `.ts` source under tsx and vitest, for which the thread has to load tsx itself.
 */
export function startThread(name: string, callerUrl: string): Worker {
  if (!callerUrl.endsWith('.ts')) return new Worker(new URL(unpacked(new URL(`${name}.js`, callerUrl).href)));
  const tsx = pathToFileURL(createRequire(callerUrl).resolve('tsx/esm/api').replace(/cjs$/, 'mjs')).href;
  const entry = new URL(`${name}.ts`, callerUrl).href;
  return new Worker(`import('${tsx}').then(({ register }) => { register(); return import('${entry}'); });`, {
    eval: true,
  });
}
