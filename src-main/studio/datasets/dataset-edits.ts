/** What a user can ask about the edits of a dataset. */
import { resolve } from 'node:path';
import { Failure } from '../../base/failure.ts';
import { datasetSummary, type Dataset, type DatasetSummary } from '../../data/dataset.ts';
import { loadDataset } from '../../data/dataset-store.ts';
import * as edits from '../../data/edits/edit-dataset.ts';
import type { Edit, EditWish } from '../../data/edits/edit.ts';
import type { Workspace } from '../../workspace/workspace.ts';

/** An edit as it is listed: of many images how many, and one of them. */
export type EditSummary = Shortened<Edit>;
type Shortened<T> = T extends { images: unknown } ? Omit<T, 'images'> & { images: number; first: string } : T;

/** A dataset after an edit. */
export interface EditedDataset extends DatasetSummary {
  edit: EditSummary;
  /** Of the edit in the dataset's log: what tells it from all others. */
  line: number;
  /** Images that the edit has changed, or that undoing it has. */
  changed: number;
}

export interface ListedEdit {
  at: string;
  edit: EditSummary;
  state: 'done' | 'undone';
  /** Images that it changes; null for one that is not in force. */
  changed: number | null;
  /** What of it no longer applies since the folder was imported again. */
  lost: string | null;
}

/** An edit as a phrase: "exclude 3 images". */
export function editInWords(edit: EditSummary): string {
  const quoted = (name: string) => JSON.stringify(name);
  const images = 'images' in edit ? (edit.images === 1 ? edit.first : `${edit.images} images`) : '';
  switch (edit.kind) {
    case 'rename-class':
      return `rename class ${quoted(edit.class)} to ${quoted(edit.to)}`;
    case 'merge-classes':
      return `merge ${edit.classes.map(quoted).join(', ')} into ${quoted(edit.into)}`;
    case 'move-to-class':
      return `move ${images} to class ${quoted(edit.class)}`;
    case 'move-to-split':
      return `move ${images} to ${edit.split}`;
    case 'exclude':
    case 'include':
      return `${edit.kind} ${images}`;
    case 'add-picture':
      return `add a picture to class ${quoted(edit.class)}`;
    case 'split':
      return `deal into splits: val ${edit.val}${edit.test === null ? '' : `, test ${edit.test}`}, seed ${edit.seed}`;
  }
}

export type { EditWish };

/** Adds an edit. @throws Failure `no-dataset`, `edit` */
export async function editDataset(workspace: Workspace, name: string, wish: EditWish): Promise<EditedDataset> {
  return describeEdited(await edits.addEdit(workspace, name, wish));
}

/**
 * @param meant line of the edit that is meant
 * @throws Failure `no-dataset`; `edit` where there is nothing to undo or redo; `edited-since` where it is not what is meant
 */
export async function stepEdits(
  workspace: Workspace,
  name: string,
  step: 'undo' | 'redo',
  meant?: number,
): Promise<EditedDataset> {
  return describeEdited(await edits.stepEdits(workspace, name, step, meant));
}

export async function listEdits(workspace: Workspace, name: string): Promise<ListedEdit[]> {
  const listed = await edits.listEdits(workspace, name);
  return listed.map(({ at, edit, state, effect }) => ({
    at,
    edit: summaryOf(edit),
    state,
    changed: effect?.images ?? null,
    lost: effect?.lost ?? null,
  }));
}

/**
 * Places in a dataset of images as a user names them: by a path as `datasets` prints it, relative to the source or
 * absolute, with "#row" behind that of a packed file. A picture that is listed twice is meant both times.
 * @throws Failure `no-dataset`, `edit` for one that is not there
 */
export async function placesOf(workspace: Workspace, name: string, paths: readonly string[]): Promise<number[]> {
  const dataset = await loadDataset(workspace, name);
  const places = new Map<string, number[]>();
  dataset.images.forEach(({ path, entry }, place) => {
    const row = entry === undefined ? '' : `#${entry}`;
    for (const each of new Set([path, resolve(dataset.source, path)].map((one) => one + row)))
      places.set(each, [...(places.get(each) ?? []), place]);
  });
  return paths.flatMap((path) => {
    const found = places.get(path) ?? places.get(path.replaceAll('\\', '/')) ?? places.get(resolve(path));
    if (found) return found;
    const problem = dataset.problems.find((one) => resolve(dataset.source, one.path) === resolve(dataset.source, path));
    if (problem)
      throw new Failure(
        'edit',
        `"${path}" is none of the images of dataset ${name}; the import says: ${problem.message}`,
      );
    throw new Failure('edit', `The dataset ${name} has no image "${path}": give its path in "${originOf(dataset)}".`);
  });
}

const originOf = ({ source, copyOf = source }: Dataset): string => copyOf;

/** As it is told after an edit. */
export function describeEdited({ dataset, edit, line, effect }: edits.Edited): EditedDataset {
  return { ...datasetSummary(dataset), edit: summaryOf(edit), line, changed: effect.images };
}

function summaryOf(edit: Edit): EditSummary {
  if (!('images' in edit)) return edit;
  const { path, entry } = edit.images[0]!;
  return { ...edit, images: edit.images.length, first: entry === undefined ? path : `${path}#${entry}` };
}
