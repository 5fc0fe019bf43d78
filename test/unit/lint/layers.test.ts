import path from 'node:path';
import { ESLint } from 'eslint';
import { describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '../../..');
const rule = new ESLint({ cwd: root, overrideConfigFile: path.join(root, 'lint/layers.config.js') });

/** What the rule says to `code` lying at `file`. */
async function messages(file: string, code: string): Promise<string[]> {
  const [result] = await rule.lintText(code, { filePath: path.join(root, file) });
  return (result?.messages ?? []).map((message) => message.message);
}

describe('the layering rule', () => {
  it.each([
    ['src-main/workspace/store.ts', `import { Failure } from '../base/failure.ts';`],
    ['src-main/engine/onnx/write.ts', `import type { Progress } from '../../base/progress.ts';`],
    ['src-main/backbone/taps.ts', `import { readModel } from '../engine/onnx/model.ts';`],
    [
      'src-main/training/loop.ts',
      `import { last } from '../methods/last.ts'; import { open } from '../features/cache.ts';`,
    ],
    [
      'src-main/methods/last.ts',
      `import * as tf from '@tensorflow/tfjs-core'; import { module } from './attention.ts';`,
    ],
    ['src-main/cli/main.ts', `import { Command } from 'commander'; import { studio } from '../studio/service.ts';`],
    ['src-main/electron/main.ts', `import { app } from 'electron'; import { studio } from '../studio/service.ts';`],
    ['test/unit/engine/any.test.ts', `import { trace } from '../../../src-main/engine/trace.ts';`],
  ])('lets %s import downwards', async (file, code) => {
    expect(await messages(file, code)).toEqual([]);
  });

  it.each([
    [
      'src-main/base/failure.ts',
      `import { store } from '../workspace/store.ts';`,
      'src-main/base may not import src-main/workspace',
    ],
    [
      'src-main/engine/trace.ts',
      `import type { Last } from '../methods/last.ts';`,
      'src-main/engine may not import src-main/methods',
    ],
    [
      'src-main/engine/trace.ts',
      `export * from '../workspace/store.ts';`,
      'src-main/engine may not import src-main/workspace',
    ],
    [
      'src-main/data/decode.ts',
      `export { taps } from '../backbone/taps.ts';`,
      'src-main/data may not import src-main/backbone',
    ],
    [
      'src-main/features/cache.ts',
      `const loop = await import('../training/loop.ts');`,
      'src-main/features may not import src-main/training',
    ],
    [
      'src-main/training/loop.ts',
      `type Card = import('../export/card.ts').Card;`,
      'src-main/training may not import src-main/export',
    ],
    ['src-main/studio/service.ts', `import '../cli/main.ts';`, 'src-main/studio may not import src-main/cli'],
    [
      'src-main/methods/last.ts',
      `import { Failure } from '../base/failure.ts';`,
      'src-main/methods may not import src-main/base',
    ],
    [
      'src-main/methods/last.ts',
      `import sharp from 'sharp';`,
      "@tensorflow/tfjs-core and its own files only, not 'sharp'",
    ],
    [
      'src-main/methods/last.ts',
      `import fs from 'node:fs';`,
      "@tensorflow/tfjs-core and its own files only, not 'node:fs'",
    ],
    [
      'src-main/studio/service.ts',
      `import { app } from 'electron';`,
      "'electron' may be imported in src-main/electron only",
    ],
    [
      'src-main/host/server.ts',
      `const { app } = require('electron/main');`,
      "'electron' may be imported in src-main/electron only",
    ],
    [
      'test/unit/studio/any.test.ts',
      `import { app } from 'electron';`,
      "'electron' may be imported in src-main/electron only",
    ],
    ['src-main/data/list.ts', `import { sample } from '../../test/bench/sample.ts';`, 'lies outside src-main'],
    [
      'src-main/misc/list.ts',
      `import { Failure } from '../base/failure.ts';`,
      'src-main/misc has no place in the table',
    ],
  ])('refuses in %s: %s', async (file, code, sentence) => {
    const found = await messages(file, code);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(sentence);
  });

  it('is switched on, as an error, for every layer by the configuration that npm run check uses', async () => {
    const whole = new ESLint({ cwd: root });
    for (const file of ['src-main/base/failure.ts', 'src-main/methods/last.ts', 'src-main/electron/main.ts']) {
      const config = (await whole.calculateConfigForFile(path.join(root, file))) as { rules: Record<string, unknown> };
      expect(config.rules['sidetune/layers']).toEqual([2]);
    }
  });
});
