/** A dataset as it is used: what was imported with the edits that are in force, and nothing else. */
import { join } from 'node:path';
import { pathInCopy } from '../copy-images.ts';
import { findProblems } from '../checks.ts';
import type { Dataset, DatasetImage, SplitName } from '../dataset.ts';
import { stratifiedSplit } from '../split.ts';
import { HASH_LENGTH, type AddedPicture, type Edit, type EditedImage } from './edit.ts';

/** What has become of an edit. */
export interface EditEffect {
  /** Images that it has changed. */
  images: number;
  /** What of it no longer applies, as a sentence; null where all of it does. */
  lost: string | null;
}

export interface EditedDataset {
  dataset: Dataset;
  /** One for each edit. */
  effects: EditEffect[];
}

/**
 * Applies edits in their order. Every image keeps its place in the list; classes that the edits have emptied are gone.
 * What an edit names and is no longer there is passed over and told. The dataset given is left as it is.
 * @param folder the dataset's own in the workspace, which has the pictures that were added
 */
export function applyEdits(imported: Dataset, edits: readonly Edit[], folder = imported.source): EditedDataset {
  const draft = new Draft(imported, folder);
  const effects = edits.map((edit) => draft.apply(edit));
  return { dataset: draft.finish(), effects };
}

/** How an edit names images of a dataset, by their places in it. */
export function nameImages(dataset: Dataset, places: readonly number[]): EditedImage[] {
  const keys = keysOf(dataset);
  return places.map((place) => {
    const { path, entry, nth } = keys[place]!;
    return {
      path,
      ...(entry === undefined ? {} : { entry }),
      ...(nth === undefined ? {} : { nth }),
      sha256: dataset.images[place]!.sha256.slice(0, HASH_LENGTH),
    };
  });
}

type Key = Omit<EditedImage, 'sha256'>;
const written = ({ path, entry, nth }: Key): string => `${entry ?? ''} ${nth ?? ''} ${path}`;

function keysOf({ source, images }: Pick<Dataset, 'source' | 'images'>): Key[] {
  const seen = new Map<string, number>();
  return images.map(({ path: own, entry }) => {
    // In the source or in its copy, what lies inside has the same path in both.
    const path = pathInCopy(source, own);
    const first = written({ path, entry });
    const nth = seen.get(first);
    seen.set(first, (nth ?? 0) + 1);
    return { path, entry, nth };
  });
}

/** The name of a class that was taken into another. */
const NONE = '';

class Draft {
  private readonly classes: string[];
  private readonly images: DatasetImage[];
  private places: Map<string, number> | undefined;

  constructor(
    private readonly imported: Dataset,
    private readonly folder: string,
  ) {
    this.classes = [...imported.classes];
    this.images = imported.images.map((image) => ({ ...image }));
  }

  apply(edit: Edit): EditEffect {
    switch (edit.kind) {
      case 'rename-class':
        return this.rename(edit.class, edit.to);
      case 'merge-classes':
        return this.merge(edit.classes, edit.into);
      case 'move-to-class': {
        const label = this.classNamed(edit.class);
        return this.change(edit.images, (image) => (image.label = label));
      }
      case 'move-to-split':
        return this.change(edit.images, (image) => (image.split = edit.split));
      case 'exclude':
        return this.change(edit.images, (image) => (image.excluded = true));
      case 'include':
        return this.change(edit.images, (image) => delete image.excluded);
      case 'add-picture':
        return this.add(edit.picture, this.classNamed(edit.class));
      case 'split':
        return this.deal(edit.val, edit.test, edit.seed);
    }
  }

  finish(): Dataset {
    const { imported } = this;
    const stays = this.classes.map((_, label) => !this.isEmptied(label));
    const classes = this.classes.filter((_, label) => stays[label]);
    const gone: string[] = [];
    const labels = this.classes.map((name, label) => {
      if (stays[label]) return stays.slice(0, label).filter(Boolean).length;
      if (!this.images.some((image) => image.label === label)) return -1;
      return classes.length + gone.push(name) - 1;
    });
    for (const image of this.images) image.label = labels[image.label]!;
    const dataset = { ...imported, classes, images: this.images, ...(gone.length > 0 ? { gone } : {}) };
    return { ...dataset, problems: findProblems(dataset) };
  }

  private rename(name: string, to: string): EditEffect {
    const label = this.classes.indexOf(name);
    if (label < 0) return { images: 0, lost: `There is no class ${JSON.stringify(name)} any more.` };
    const other = this.classes.indexOf(to);
    if (other >= 0 && other !== label) {
      if (!this.isEmptied(other)) return { images: 0, lost: `There is a class ${JSON.stringify(to)} by now.` };
      this.take(new Set([other]), label);
    }
    this.classes[label] = to;
    return { images: this.images.filter((image) => image.label === label).length, lost: null };
  }

  private merge(names: readonly string[], into: string): EditEffect {
    const missing = names.filter((name) => !this.classes.includes(name));
    const there = new Set(names.filter((name) => name !== into).map((name) => this.classes.indexOf(name)));
    there.delete(-1);
    const lost =
      missing.length === 0 ? null : `No longer there: ${missing.map((name) => JSON.stringify(name)).join(', ')}.`;
    if (there.size === 0) return { images: 0, lost };
    // A new class takes the place of the first of those that it is made of.
    const moved = this.images.filter(({ label }) => there.has(label)).length;
    const [first] = there;
    if (!this.classes.includes(into)) {
      this.classes[first!] = into;
      there.delete(first!);
    }
    this.take(there, this.classes.indexOf(into));
    return { images: moved, lost };
  }

  /** Gives the images of some classes another label; those classes are no more. */
  private take(from: ReadonlySet<number>, label: number): void {
    for (const image of this.images) if (from.has(image.label)) image.label = label;
    for (const old of from) this.classes[old] = NONE;
  }

  /** Whether edits have left a class without images. One that never had any is there because the user's list names it. */
  private isEmptied(label: number): boolean {
    if (this.classes[label] === NONE) return true;
    if (this.images.some((image) => image.label === label && !image.excluded)) return false;
    return label >= this.imported.classes.length || this.imported.images.some((image) => image.label === label);
  }

  private classNamed(name: string): number {
    const label = this.classes.indexOf(name);
    return label >= 0 ? label : this.classes.push(name) - 1;
  }

  private change(named: readonly EditedImage[], to: (image: DatasetImage) => unknown): EditEffect {
    let missing = 0;
    let other = 0;
    for (const each of named) {
      const image = this.images[this.placeOf(each) ?? -1];
      if (image === undefined) missing++;
      else if (image.sha256.slice(0, HASH_LENGTH) !== each.sha256) other++;
      else to(image);
    }
    const lost = [
      missing > 0 ? `${countOf(missing, named.length)} no longer there` : '',
      other > 0 ? `${countOf(other, named.length)} another picture by now` : '',
    ].filter(Boolean);
    return {
      images: named.length - missing - other,
      lost: lost.length > 0 ? `${lost.join(', ')}.` : null,
    };
  }

  private add(picture: AddedPicture, label: number): EditEffect {
    this.images.push({ ...picture, path: join(this.folder, picture.path), label, split: 'train' });
    this.places = undefined;
    return { images: 1, lost: null };
  }

  private placeOf(image: EditedImage): number | undefined {
    const { source } = this.imported;
    this.places ??= new Map(keysOf({ source, images: this.images }).map((key, place) => [written(key), place]));
    return this.places.get(written(image));
  }

  private deal(val: number, test: number | null, seed: number): EditEffect {
    const taking = this.images.filter((image) => !image.excluded && (test !== null || image.split !== 'test'));
    const set = (images: readonly DatasetImage[], fraction: number, split: SplitName): DatasetImage[] => {
      // None at all is asked for; the deal itself gives every class one.
      const dealt = fraction > 0 ? stratifiedSplit(images, fraction, seed) : images.map(() => 'train');
      images.forEach((image, index) => (image.split = dealt[index] === 'val' ? split : 'train'));
      return images.filter((image) => image.split === 'train');
    };
    const rest = test === null ? taking : set(taking, test, 'test');
    set(rest, val / (1 - (test ?? 0)), 'val');
    return { images: taking.length, lost: null };
  }
}

function countOf(some: number, all: number): string {
  if (all === 1) return 'The image is';
  if (some === all) return `All ${all} images are`;
  return `${some} of ${all} images ${some === 1 ? 'is' : 'are'}`;
}
