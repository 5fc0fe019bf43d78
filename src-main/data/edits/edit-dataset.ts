/** Adds an edit to a dataset's log, or steps through it, while nobody else changes the dataset. */
import { Failure } from '../../base/failure.ts';
import { withLock } from '../../workspace/lock.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import { classOf, type Dataset } from '../dataset.ts';
import { entriesLock, loadImported } from '../dataset-store.ts';
import { applyEdits, nameImages, type EditEffect } from './apply-edits.ts';
import { editSchema, type Edit, type EditWish } from './edit.ts';
import { appendToEditLog, historyOf, readEditLog, type DatedEdit } from './edit-log.ts';

export interface Edited {
  dataset: Dataset;
  /** The edit that was added, taken back or put in force again, and what it has done. */
  edit: Edit;
  effect: EditEffect;
  /** Of the edit, in the log. */
  line: number;
}

/** An edit of the log as it stands now. */
export interface ListedEdit extends DatedEdit {
  state: 'done' | 'undone';
  /** Null for one that is not in force. */
  effect: EditEffect | null;
}

/**
 * Adds an edit that is in force at once; what could have been redone no longer can.
 * @throws Failure `no-dataset`, `edit` where it names what is not there, changes nothing or leaves nothing to train on
 */
export function addEdit(workspace: Workspace, name: string, wish: EditWish): Promise<Edited> {
  return withLock(entriesLock(workspace), async () => {
    const imported = await loadImported(workspace, name);
    const log = await readEditLog(workspace, name);
    const { done } = historyOf(log);
    const before = done.map(({ edit }) => edit);
    const folder = workspace.dataset(name);
    const current = applyEdits(imported, before, folder).dataset;
    const edit = editSchema.parse(named(current, checked(current, wish)));
    const { dataset, effects } = applyEdits(imported, [...before, edit], folder);
    if (!dataset.images.some((image) => image.split === 'train' && !image.excluded))
      throw new Failure('edit', `This would leave ${name} without an image to train on.`);
    await appendToEditLog(workspace, name, { at: new Date().toISOString(), edit });
    return { dataset, edit, effect: effects.at(-1)!, line: log.length };
  });
}

/**
 * Takes the last edit back, or puts the one that was taken back last in force again.
 * @param meant line of the edit that is meant; whichever comes when left out
 * @throws Failure `edit` where there is none, `edited-since` where another one than `meant` would come
 */
export function stepEdits(workspace: Workspace, name: string, step: 'undo' | 'redo', meant?: number): Promise<Edited> {
  return withLock(entriesLock(workspace), async () => {
    const imported = await loadImported(workspace, name);
    const { done, undone } = historyOf(await readEditLog(workspace, name));
    const moved = (step === 'undo' ? done : undone).at(-1);
    if (meant !== undefined && moved?.line !== meant)
      throw new Failure(
        'edited-since',
        `${name} was edited since: what is to be taken back or done again now is found under its edits, one by one.`,
      );
    if (!moved) throw new Failure('edit', `There is no edit of ${name} to ${step}.`);
    await appendToEditLog(workspace, name, { at: new Date().toISOString(), step });
    const folder = workspace.dataset(name);
    const without = (step === 'undo' ? done.slice(0, -1) : done).map(({ edit }) => edit);
    const { dataset, effects } = applyEdits(imported, [...without, moved.edit], folder);
    return {
      dataset: step === 'redo' ? dataset : applyEdits(imported, without, folder).dataset,
      edit: moved.edit,
      line: moved.line,
      effect: effects.at(-1)!,
    };
  });
}

/** All edits of a dataset, the oldest first, those that can be redone last. */
export async function listEdits(workspace: Workspace, name: string): Promise<ListedEdit[]> {
  const imported = await loadImported(workspace, name);
  const { done, undone } = historyOf(await readEditLog(workspace, name));
  const { effects } = applyEdits(
    imported,
    done.map(({ edit }) => edit),
    workspace.dataset(name),
  );
  return [
    ...done.map((each, index): ListedEdit => ({ ...each, state: 'done', effect: effects[index]! })),
    ...undone.toReversed().map((each): ListedEdit => ({ ...each, state: 'undone', effect: null })),
  ];
}

function named(dataset: Dataset, wish: EditWish): unknown {
  return 'images' in wish ? { ...wish, images: nameImages(dataset, wish.images) } : wish;
}

/** The wish as far as it changes something. @throws Failure `edit` */
function checked(dataset: Dataset, wish: EditWish): EditWish {
  switch (wish.kind) {
    case 'rename-class': {
      checkClass(dataset, wish.class);
      const to = checkNewName(dataset, wish.to, wish.class);
      if (to === wish.class) throw nothingToDo(`The class is called ${JSON.stringify(to)} already`);
      return { ...wish, to };
    }
    case 'merge-classes': {
      const classes = [...new Set(wish.classes)];
      for (const each of classes) checkClass(dataset, each);
      const into = dataset.classes.includes(wish.into) ? wish.into : checkNewName(dataset, wish.into, ...classes);
      if (classes.every((each) => each === into)) throw nothingToDo('One class alone has nothing to be merged with');
      return { ...wish, classes, into };
    }
    case 'move-to-class': {
      const to = dataset.classes.includes(wish.class) ? wish.class : checkNewName(dataset, wish.class);
      return narrowed(
        dataset,
        { ...wish, class: to },
        (image) => classOf(dataset, image.label) !== to,
        `of the class ${JSON.stringify(to)}`,
      );
    }
    case 'move-to-split':
      return narrowed(dataset, wish, ({ split }) => split !== wish.split, `in ${wish.split}`);
    case 'exclude':
      return narrowed(dataset, wish, ({ excluded }) => !excluded, 'excluded');
    case 'include':
      return narrowed(dataset, wish, ({ excluded }) => excluded === true, 'included');
    case 'add-picture': {
      checkClass(dataset, wish.class);
      const same = dataset.images.find(({ sha256, excluded }) => sha256 === wish.picture.sha256 && !excluded);
      if (same)
        throw nothingToDo(
          `The picture is in ${dataset.name} already, as ${JSON.stringify(classOf(dataset, same.label))}`,
        );
      return wish;
    }
    case 'split':
      if (wish.val + (wish.test ?? 0) > 0.9)
        throw new Failure(
          'edit',
          'At least a tenth of the images is needed to train on: ask for smaller val and test splits.',
        );
      return wish;
  }
}

function narrowed<Wish extends Extract<EditWish, { images: number[] }>>(
  { images, name }: Dataset,
  wish: Wish,
  changes: (image: Dataset['images'][number]) => boolean,
  state: string,
): Wish {
  const places = [...new Set(wish.images)].sort((a, b) => a - b);
  const missing = places.find((place) => images[place] === undefined);
  if (missing !== undefined) throw new Failure('edit', `The dataset ${name} has no image ${missing}.`);
  const left = places.filter((place) => changes(images[place]!));
  if (left.length === 0)
    throw nothingToDo(
      places.length === 1 ? `The image is ${state} already` : `All of these images are ${state} already`,
    );
  return { ...wish, images: left };
}

function checkClass({ classes, name }: Dataset, sought: string): void {
  if (classes.includes(sought)) return;
  const near = classes.find((each) => folded(each) === folded(sought));
  const advice = near === undefined ? `see "sidetune datasets show ${name}"` : `did you mean ${JSON.stringify(near)}`;
  throw new Failure('edit', `The dataset ${name} has no class ${JSON.stringify(sought)}: ${advice}.`);
}

const folded = (text: string): string => text.normalize('NFC').toLowerCase();
const LONGEST_NAME = 200;

/** @param own classes that the new name may be like: those that it is to replace */
function checkNewName({ classes }: Dataset, given: string, ...own: string[]): string {
  const name = given.trim();
  if (name === '' || name.length > LONGEST_NAME || /\p{Cc}/u.test(name))
    throw new Failure(
      'edit',
      `${JSON.stringify(given)} cannot name a class: use 1 to ${LONGEST_NAME} characters on one line.`,
    );
  const taken = classes.find((each) => folded(each) === folded(name) && !own.includes(each));
  if (taken !== undefined)
    throw new Failure(
      'edit',
      `There is a class ${JSON.stringify(taken)} already: merge the classes, or choose another name.`,
    );
  return name;
}

function nothingToDo(why: string): Failure {
  return new Failure('edit', `${why}: there is nothing to change.`);
}
