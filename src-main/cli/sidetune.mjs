#!/usr/bin/env node
// The `sidetune` command. In a clone it first builds what is missing or out of date, so that nothing has to be run
// between `npm ci` and `npx sidetune`; an installed package has no sources and starts at once.
import { existsSync } from 'node:fs';

const here = (file) => new URL(file, import.meta.url);
const main = here('../../dist/cli/main.js');

/** `edge serve` serves a model, and help is about to say what the window is for. */
function opensWindow(words) {
  return words.includes('serve') && !words.some((word) => ['-h', '--help', 'help', 'edge'].includes(word));
}

async function prepare() {
  if (existsSync(here('main.ts')) && existsSync(here('../../tsconfig.build.json'))) {
    const { buildIfStale, buildRendererIfStale } = await import('./build.mjs');
    buildIfStale();
    if (opensWindow(process.argv.slice(2))) buildRendererIfStale();
  } else if (!existsSync(main)) {
    throw new Error('this copy has neither a build (dist/) nor its sources (src-main/): install it again.');
  }
}

try {
  await prepare();
} catch (error) {
  const message = `Sidetune could not be built: ${error.message}`;
  process.stderr.write(`${message}\n`);
  if (process.argv.includes('--json')) console.log(JSON.stringify({ error: { code: 'build', message } }));
  process.exit(1);
}
await import(main.href);
