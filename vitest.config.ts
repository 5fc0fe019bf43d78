import path from 'node:path';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

const globalSetup = ['test/build-once.ts'];

/**
 * Integration and e2e tests import what is built in place of the sources, as users run it: their processes and threads
 * start without compiling them anew.
 */
const builtSources: Plugin = {
  name: 'built-sources',
  enforce: 'pre',
  resolveId(source, importer) {
    if (importer === undefined || !source.startsWith('.') || !source.endsWith('.ts')) return null;
    const inside = path.relative('src-main', path.resolve(path.dirname(importer), source));
    if (inside.startsWith('..')) return null;
    return path.resolve('dist', inside.replace(/ts$/, 'js'));
  },
};
/** Loaded by Node itself. */
const server = { deps: { external: [/[\\/]dist[\\/]/] } };

export default defineConfig({
  test: {
    // CI counts the tests from the JSON report (.ci/totals.mjs).
    reporters: process.env.CI ? ['default', ['json', { outputFile: 'coverage/test-report.json' }]] : ['default'],
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          testTimeout: 60_000,
          pool: 'forks',
          sequence: { groupOrder: 0 },
        },
      },
      {
        plugins: [builtSources],
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          globalSetup,
          server,
          testTimeout: 300_000,
          hookTimeout: 300_000,
          pool: 'forks',
          // Most of a file's time is processes that start and wait: two fill two cores.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        plugins: [builtSources],
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          globalSetup,
          server,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          pool: 'forks',
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
