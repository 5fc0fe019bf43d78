/** What a window needs before its first paint: the page that is shown first, and nothing that only others want. */
import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../../../src-renderer');
/** Static imports and re-exports that are still there after types are taken away. */
const IMPORT = /^\s*(?:import|export)\s+(?!type\b)(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm;

describe('the first script', () => {
  const { files, packages } = reachedFrom(join(root, 'main.ts'));

  it('holds the first page and no other', () => {
    expect(files.filter((file) => /^pages\/[A-Z]/.test(file))).toEqual(['pages/Start.svelte']);
  });

  it('needs Svelte and icons, and no chart', () => {
    expect(packages).toEqual(['@lucide/svelte', 'svelte']);
  });

  it('takes icons one by one: by their list all of them are compiled', () => {
    const icons = files.flatMap((file) => importsOf(join(root, file))).filter((name) => name.startsWith('@lucide'));
    expect(icons).not.toHaveLength(0);
    expect(icons.filter((name) => !name.startsWith('@lucide/svelte/icons/'))).toEqual([]);
  });
});

function importsOf(file: string): string[] {
  return [...readFileSync(file, 'utf8').matchAll(IMPORT)].map(([, specifier]) => specifier!);
}

/** Files, relative to the window's folder, and packages, sorted, that a file cannot do without. */
function reachedFrom(entry: string): { files: string[]; packages: string[] } {
  const files = new Set<string>();
  const packages = new Set<string>();
  const visit = (file: string): void => {
    if (files.has(file)) return;
    files.add(file);
    for (const specifier of importsOf(file)) {
      const target = join(dirname(file), specifier);
      if (!specifier.startsWith('.')) packages.add(specifier.match(/^(?:@[^/]+\/)?[^/]+/)![0]);
      else if (/\.(svelte|ts)$/.test(target)) visit(target);
    }
  };
  visit(entry);
  return { files: [...files].map((file) => relative(root, file)).sort(), packages: [...packages].sort() };
}
