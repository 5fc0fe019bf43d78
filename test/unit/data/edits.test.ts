import { describe, expect, it } from 'vitest';
import { classOf, countSplits, imagesOf, type Dataset, type SplitName } from '../../../src-main/data/dataset.ts';
import { applyEdits, nameImages } from '../../../src-main/data/edits/apply-edits.ts';
import { historyOf, type LogLine } from '../../../src-main/data/edits/edit-log.ts';
import type { Edit } from '../../../src-main/data/edits/edit.ts';

const hash = (content: string | number) => Buffer.from(String(content)).toString('hex').padEnd(64, '0');

/** Ten cats, ten dogs and two birds; of each ten two in val and two in test. */
function pets(change: Partial<Dataset> = {}): Dataset {
  const splits: SplitName[] = ['train', 'train', 'train', 'train', 'train', 'train', 'val', 'val', 'test', 'test'];
  const of = (name: string, label: number, count: number) =>
    Array.from({ length: count }, (_, index) => ({
      path: `${name}/${index}.png`,
      label,
      split: splits[index]!,
      bytes: 1,
      mtimeMs: 1,
      sha256: hash(`${name}${index}`),
    }));
  return {
    name: 'pets',
    source: '/data/pets',
    format: 'folder',
    classes: ['cat', 'dog', 'bird'],
    images: [...of('cat', 0, 10), ...of('dog', 1, 10), ...of('bird', 2, 2)],
    problems: [],
    ...change,
  };
}

const BIRDS = [20, 21];
const images = (...places: number[]) => nameImages(pets(), places);
const apply = (...edits: Edit[]) => applyEdits(pets(), edits);
const classesOf = ({ classes, images: all }: Dataset) => {
  const counts = classes.map((_, label) => all.filter((image) => image.label === label && !image.excluded).length);
  return Object.fromEntries(classes.map((name, label) => [name, counts[label]]));
};

describe('edits of a dataset', () => {
  it('leave what was imported as it is, and every image in its place', () => {
    const imported = pets();
    const { dataset } = applyEdits(imported, [
      { kind: 'exclude', images: images(0, 5) },
      { kind: 'merge-classes', classes: ['dog'], into: 'cat' },
      { kind: 'split', val: 0.3, test: 0.3, seed: 4 },
    ]);
    expect(imported).toEqual(pets());
    expect(dataset.images.map(({ path }) => path)).toEqual(imported.images.map(({ path }) => path));
    expect(applyEdits(imported, []).dataset).toMatchObject({ classes: imported.classes, images: imported.images });
  });

  it('rename a class where it stands', () => {
    const { dataset, effects } = apply({ kind: 'rename-class', class: 'dog', to: 'wolf' });
    expect(dataset.classes).toEqual(['cat', 'wolf', 'bird']);
    expect(effects).toEqual([{ images: 10, lost: null }]);
  });

  it('merge classes into one of them, into another, and into a new one', () => {
    const into = (name: string) => {
      const { dataset, effects } = apply({ kind: 'merge-classes', classes: ['dog', 'bird'], into: name });
      return { classes: classesOf(dataset), moved: effects[0]!.images };
    };
    expect(into('bird')).toEqual({ classes: { cat: 10, bird: 12 }, moved: 10 });
    expect(into('cat')).toEqual({ classes: { cat: 22 }, moved: 12 });
    expect(into('animal')).toEqual({ classes: { cat: 10, animal: 12 }, moved: 12 });
  });

  it('give a name free that a merged or renamed class had', () => {
    const { dataset, effects } = apply(
      { kind: 'merge-classes', classes: ['cat'], into: 'dog' },
      { kind: 'rename-class', class: 'bird', to: 'cat' },
      { kind: 'rename-class', class: 'dog', to: 'bird' },
    );
    expect(classesOf(dataset)).toEqual({ bird: 20, cat: 2 });
    expect(effects.map(({ lost }) => lost)).toEqual([null, null, null]);
  });

  it('exclude images, and a class of which all are; including them brings it back', () => {
    const without = apply({ kind: 'exclude', images: images(...BIRDS, 0) }).dataset;
    expect(without.classes).toEqual(['cat', 'dog']);
    expect(without.gone).toEqual(['bird']);
    expect(BIRDS.map((place) => classOf(without, without.images[place]!.label))).toEqual(['bird', 'bird']);
    expect(countSplits(without.images)).toEqual({ train: 11, val: 4, test: 4 });
    expect(imagesOf(without, 'train')).not.toContain(without.images[0]);
    const again = apply({ kind: 'exclude', images: images(...BIRDS) }, { kind: 'include', images: images(20) }).dataset;
    expect(classesOf(again)).toEqual({ cat: 10, dog: 10, bird: 1 });
  });

  it('keep a class without images that the list itself names', () => {
    const named = pets({ classes: ['cat', 'dog', 'bird', 'fish'] });
    const { dataset } = applyEdits(named, [{ kind: 'exclude', images: nameImages(named, [0]) }]);
    expect(dataset.classes).toContain('fish');
    expect(dataset.problems).toMatchObject([{ kind: 'empty-class', class: 'fish' }]);
  });

  it('move images to another class, a new one and another split', () => {
    const { dataset } = apply(
      { kind: 'move-to-class', images: images(0, 10), class: 'fox' },
      { kind: 'move-to-class', images: images(...BIRDS), class: 'dog' },
      { kind: 'move-to-split', images: images(0, 1), split: 'test' },
    );
    expect(classesOf(dataset)).toEqual({ cat: 9, dog: 11, fox: 2 });
    expect(dataset.images.slice(0, 3).map(({ split }) => split)).toEqual(['test', 'test', 'train']);
  });

  it('deal the splits anew by seed, leaving test alone unless it is asked for', () => {
    const deal = (val: number, test: number | null, seed: number) =>
      apply({ kind: 'split', val, test, seed }).dataset.images.map(({ split }) => split);
    const count = (splits: string[], name: string) => splits.filter((split) => split === name).length;
    const kept = deal(0.25, null, 3);
    expect(kept.flatMap((split, place) => (split === 'test' ? [place] : []))).toEqual([8, 9, 18, 19]);
    expect(count(kept, 'val')).toBe(5);
    expect(deal(0.25, null, 3)).toEqual(kept);
    expect(deal(0.25, null, 4)).not.toEqual(kept);
    const all = deal(0.2, 0.2, 1);
    expect([count(all, 'train'), count(all, 'val'), count(all, 'test')]).toEqual([13, 4, 5]);
    expect(count(deal(0, 0, 1), 'train')).toBe(22);
  });

  it('take effect in their order', () => {
    const exclude: Edit = { kind: 'exclude', images: images(0) };
    const include: Edit = { kind: 'include', images: images(0) };
    expect(apply(exclude, include).dataset.images[0]!.excluded).toBeUndefined();
    expect(apply(include, exclude).dataset.images[0]!.excluded).toBe(true);
    const deal: Edit = { kind: 'split', val: 0.5, test: null, seed: 1 };
    const move: Edit = { kind: 'move-to-split', images: images(0, 1, 2, 3, 4, 5), split: 'test' };
    expect(countSplits(apply(deal, move).dataset.images).test).toBe(10);
  });

  it('tell what no longer applies after another import, and do the rest', () => {
    const edits: Edit[] = [
      { kind: 'rename-class', class: 'bird', to: 'fowl' },
      { kind: 'exclude', images: images(0, 1, 2) },
      { kind: 'exclude', images: images(3) },
      { kind: 'merge-classes', classes: ['dog', 'bird'], into: 'pet' },
    ];
    // The first was deleted, the second shows something else, and there are no birds.
    const { images: old } = pets();
    const now = old.slice(1, 20).map((image, index) => (index === 0 ? { ...image, sha256: hash('new') } : image));
    const { dataset, effects } = applyEdits(pets({ classes: ['cat', 'dog'], images: now }), edits);
    expect(effects).toEqual([
      { images: 0, lost: 'There is no class "bird" any more.' },
      { images: 1, lost: '1 of 3 images is no longer there, 1 of 3 images is another picture by now.' },
      { images: 1, lost: null },
      { images: 10, lost: 'No longer there: "bird".' },
    ]);
    expect(dataset.images.filter(({ excluded }) => excluded).map(({ path }) => path)).toEqual([
      'cat/2.png',
      'cat/3.png',
    ]);
    expect(dataset.classes).toEqual(['cat', 'pet']);
  });

  it('find images again in a copy, and both of a picture that is listed twice', () => {
    const outside = pets({ images: [...pets().images.slice(0, 19), { ...pets().images[19]!, path: '/other/a.png' }] });
    const edits: Edit[] = [{ kind: 'exclude', images: nameImages(outside, [3, 19]) }];
    const copy = pets({ source: '/w/files/1', copyOf: '/data/pets' });
    copy.images = [
      ...outside.images.slice(0, 19),
      { ...outside.images[19]!, path: nameImages(outside, [19])[0]!.path },
    ];
    const excluded = applyEdits(copy, edits).dataset.images.flatMap((image, place) => (image.excluded ? [place] : []));
    expect(excluded).toEqual([3, 19]);
    const twice = pets({ images: [...pets().images, { ...pets().images[0]!, label: 1 }] });
    const second = applyEdits(twice, [{ kind: 'exclude', images: nameImages(twice, [22]) }]).dataset;
    expect([second.images[0]!.excluded, second.images[22]!.excluded]).toEqual([undefined, true]);
  });

  it('look for problems anew: one group for each content, and none for what is excluded', () => {
    const copies = pets();
    for (const place of [1, 2]) copies.images[place]!.sha256 = copies.images[0]!.sha256;
    copies.images[8]!.sha256 = copies.images[0]!.sha256;
    copies.images[11]!.sha256 = copies.images[10]!.sha256;
    copies.images[20]!.sha256 = copies.images[10]!.sha256;
    copies.problems = [{ kind: 'bad-image', path: '/data/pets/x.png', message: 'x' }];
    const problems = (...edits: Edit[]) =>
      applyEdits(copies, edits).dataset.problems.map(({ kind, images: group }) => [kind, group]);
    const none: Edit = { kind: 'exclude', images: nameImages(copies, [5]) };
    expect(problems(none)).toEqual([
      ['bad-image', undefined],
      ['leak', [0, 1, 2, 8]],
      ['conflict', [10, 11, 20]],
    ]);
    expect(problems(none, { kind: 'exclude', images: nameImages(copies, [8, 20]) })).toEqual([
      ['bad-image', undefined],
      ['single-image', undefined],
      ['duplicate', [0, 1, 2]],
      ['duplicate', [10, 11]],
    ]);
  });
});

describe('the log of edits', () => {
  const at = new Date(0).toISOString();
  const edit = (to: string): LogLine => ({ at, edit: { kind: 'rename-class', class: 'cat', to } });
  const step = (name: 'undo' | 'redo'): LogLine => ({ at, step: name });
  const names = (lines: LogLine[]) => {
    const { done, undone } = historyOf(lines);
    const name = ({ edit: one }: (typeof done)[number]) => (one.kind === 'rename-class' ? one.to : '');
    return [done.map(name).join(''), undone.map(name).join('')];
  };

  it('comes to what is in force and what can be redone', () => {
    expect(names([edit('a'), edit('b'), edit('c')])).toEqual(['abc', '']);
    expect(names([edit('a'), edit('b'), step('undo'), step('undo')])).toEqual(['', 'ba']);
    expect(names([edit('a'), edit('b'), step('undo'), step('undo'), step('redo')])).toEqual(['a', 'b']);
    expect(names([edit('a'), step('undo'), edit('b'), step('redo')])).toEqual(['b', '']);
    expect(names([step('undo'), step('redo'), edit('a'), step('redo')])).toEqual(['a', '']);
  });
});
