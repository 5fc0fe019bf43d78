import { expect, it } from 'vitest';
import { withoutPaths } from '../../../src-main/base/private-text.ts';

it.each([
  ['at f (/opt/sidetune/dist/studio/train.js:12:3)', 'at f (<sidetune>/dist/studio/train.js:12:3)'],
  ['at file:///opt/sidetune/dist/a.js:1:2', 'at <sidetune>/dist/a.js:1:2'],
  ['at node:internal/fs/promises:635:25', 'at node:internal/fs/promises:635:25'],
  ['in "/opt/sidetune/dist/a.js"', 'in "<sidetune>/dist/a.js"'],
  ["ENOENT: open '/home/ada/my pictures/cat.png'", "ENOENT: open '<path>.png'"],
  ['"/home/ada/x.onnx" is no ViT', '"<path>.onnx" is no ViT'],
  ['command: ["train","--dataset","/home/ada/pets"]', 'command: ["train","--dataset","<path>"]'],
  ['--workspace=/home/ada/Sidetune, and', '--workspace=<path>, and'],
  ['path: ~/secret/list.csv', 'path: <path>.csv'],
  ['at C:\\Users\\Ada\\x.js:3:1', 'at <path>.js:3:1'],
  ['"C:\\\\Users\\\\Ada Lovelace\\\\cat.png"', '"<path>.png"'],
  ['7/8 images; and/or; 1 / 2', '7/8 images; and/or; 1 / 2'],
])('%s', (text, expected) => {
  expect(withoutPaths(text, '/opt/sidetune/')).toBe(expected);
});
