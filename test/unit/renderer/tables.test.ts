/** What the window works out by itself: sorting, thinning, Markdown, the veil over a picture. */
import { describe, expect, it } from 'vitest';
import { veil } from '../../../src-renderer/analysis/attention.ts';
import { troubledClasses } from '../../../src-renderer/analysis/confusion.ts';
import { parseMarkdown, programsIn } from '../../../src-renderer/text/markdown.ts';
import { compareValues, pressed, sorted } from '../../../src-renderer/tables/sorting.ts';
import { nearest, thinned } from '../../../src-renderer/charts/thinning.ts';

describe('sorting', () => {
  const rows = [{ of: 0.5 }, { of: null }, { of: 0.9 }, { of: undefined }, { of: 0.1 }];
  const by = (descending: boolean) => sorted(rows, { column: 'of', descending }, (row) => row.of).map(({ of }) => of);

  it('puts what is not known last, whichever way', () => {
    expect(by(false)).toEqual([0.1, 0.5, 0.9, null, undefined]);
    expect(by(true)).toEqual([0.9, 0.5, 0.1, null, undefined]);
  });

  it('reads numbers within words, in any case', () => {
    expect(['run10', 'Run9', 'run1'].sort((a, b) => compareValues(a, b, false))).toEqual(['run1', 'Run9', 'run10']);
  });

  it('turns round what is pressed twice, and begins another column at its better end', () => {
    const first = pressed({ column: 'run', descending: false }, 'val', true);
    expect(first).toEqual({ column: 'val', descending: true });
    expect(pressed(first, 'val', true)).toEqual({ column: 'val', descending: false });
  });
});

describe('points of a chart', () => {
  it('are thinned to half, first and newest kept', () => {
    expect(thinned([1, 2, 3, 4, 5, 6])).toEqual([1, 3, 5, 6]);
    let list: number[] = [];
    for (let i = 0; i < 10_000; i++) list = list.length > 100 ? thinned([...list, i]) : [...list, i];
    expect(list.length).toBeLessThanOrEqual(101);
    expect(list[0]).toBe(0);
    expect(list.at(-1)).toBe(9999);
  });

  it('are found by the nearest x', () => {
    const points = [1, 2, 4, 8].map((x) => ({ x }));
    expect([0, 1.4, 2.9, 3.1, 5, 9].map((x) => nearest(points, x))).toEqual([0, 0, 1, 2, 2, 3]);
    expect(nearest([], 1)).toBe(-1);
  });
});

it('shows of many classes those with the most mistakes, in their order', () => {
  const confusion = [
    [9, 0, 1, 0],
    [0, 9, 0, 0],
    [0, 0, 5, 4],
    [1, 0, 0, 9],
  ];
  expect(troubledClasses(confusion, 2)).toEqual([2, 3]);
  expect(troubledClasses(confusion, 4)).toEqual([0, 1, 2, 3]);
});

it('darkens a patch the less the more attention it receives', () => {
  const [most, half, none] = veil([0.4, 0.2, 0]);
  expect(most).toBe(0);
  expect(none).toBeGreaterThan(half!);
  expect(half).toBeGreaterThan(0);
  expect(veil([0, 0]).every(Number.isFinite)).toBe(true);
});

describe('a card', () => {
  const source =
    '# A \\*name\\*\n\nSome `code`,\n**much** text.\n\n| a | b |\n|---|---|\n| 1 | x \\| y |\n\n## Use\n\n```python\nprint("<b>")\n```\n';
  const blocks = parseMarkdown(source);

  it('is taken apart into headings, paragraphs, tables and programs', () => {
    expect(blocks).toEqual([
      { kind: 'heading', level: 1, spans: [{ kind: 'text', text: 'A *name*' }] },
      {
        kind: 'paragraph',
        spans: [
          { kind: 'text', text: 'Some ' },
          { kind: 'code', text: 'code' },
          { kind: 'text', text: ', ' },
          { kind: 'strong', text: 'much' },
          { kind: 'text', text: ' text.' },
        ],
      },
      {
        kind: 'table',
        head: [[{ kind: 'text', text: 'a' }], [{ kind: 'text', text: 'b' }]],
        rows: [[[{ kind: 'text', text: '1' }], [{ kind: 'text', text: 'x | y' }]]],
      },
      { kind: 'heading', level: 2, spans: [{ kind: 'text', text: 'Use' }] },
      { kind: 'code', language: 'python', text: 'print("<b>")' },
    ]);
    expect(programsIn(blocks, 'python')).toEqual([{ under: 'Use', text: 'print("<b>")' }]);
  });

  it('keeps markup as the text that it is', () => {
    const spans = [{ kind: 'text', text: '<img src=x onerror=alert(1)>' }];
    expect(parseMarkdown('<img src=x onerror=alert(1)>')).toEqual([{ kind: 'paragraph', spans }]);
    expect(parseMarkdown('```js\nnever closed')).toEqual([{ kind: 'code', language: 'js', text: 'never closed' }]);
  });
});
