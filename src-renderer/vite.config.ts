import { fileURLToPath } from 'node:url';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: here('.'),
  plugins: [svelte({ configFile: false })],
  worker: { format: 'es' },
  build: {
    outDir: process.env.SIDETUNE_RENDERER_OUT ?? here('../dist/renderer'),
    emptyOutDir: true,
    target: 'es2023',
    // Nothing inline: the content security policy takes only files.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
