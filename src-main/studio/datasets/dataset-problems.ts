/** Problems of a dataset with the edits that would mend them, for whoever looks at them one by one. */
import { splitNames, type Dataset, type Problem, type SplitName } from '../../data/dataset.ts';
import type { EditWish } from '../../data/edits/edit.ts';
import type { ListedImage } from './image-pages.ts';

/** An edit that mends a problem, and what it comes to. */
export type Fix =
  /** Excludes all copies but one. */
  | { kind: 'keep-one'; edit: EditWish }
  /** Excludes the copies in other splits. */
  | { kind: 'keep-split'; split: SplitName; edit: EditWish }
  /** Excludes the copies in other classes. */
  | { kind: 'keep-class'; class: string; edit: EditWish }
  | { kind: 'exclude-all'; edit: EditWish }
  | { kind: 'train-on'; edit: EditWish };

export interface ShownProblem extends Omit<Problem, 'images'> {
  /** None where there is nothing to be seen; of many the first. */
  images: Pick<ListedImage, 'index' | 'path' | 'label' | 'split'>[];
  /** The likeliest first. */
  fixes: Fix[];
}

export interface ShownProblems {
  /** Of each kind the first. */
  problems: ShownProblem[];
  /** How many there are of each kind. */
  counts: Record<string, number>;
}

const MOST_OF_A_KIND = 300;
const MOST_PICTURES = 24;

export function showProblems(dataset: Dataset): ShownProblems {
  const counts: Record<string, number> = {};
  const problems: ShownProblem[] = [];
  for (const problem of dataset.problems) {
    const count = (counts[problem.kind] ?? 0) + 1;
    counts[problem.kind] = count;
    if (count > MOST_OF_A_KIND) continue;
    const images = problem.images ?? imagesOfClass(dataset, problem.class);
    const shown = images.slice(0, MOST_PICTURES).map((index) => {
      const { path, label, split } = dataset.images[index]!;
      return { index, path, label, split };
    });
    problems.push({ ...problem, images: shown, fixes: fixesOf(dataset, problem.kind, images) });
  }
  return { problems, counts };
}

function imagesOfClass({ classes, images }: Dataset, name: string | undefined): number[] {
  const label = name === undefined ? -1 : classes.indexOf(name);
  return images.flatMap((image, place) => (image.label === label && !image.excluded ? [place] : []));
}

/** @param group places of the images that a problem is about */
function fixesOf({ images, classes }: Dataset, kind: string, group: number[]): Fix[] {
  const exclude = (places: number[]): EditWish => ({ kind: 'exclude', images: places });
  const of = (place: number) => images[place]!;
  switch (kind) {
    case 'duplicate':
      return [{ kind: 'keep-one', edit: exclude(group.slice(1)) }];
    case 'leak':
      // Results stay comparable when it is the test and val images that stay.
      return splitNames.toReversed().flatMap((split): Fix[] => {
        const others = group.filter((place) => of(place).split !== split);
        return others.length < group.length ? [{ kind: 'keep-split', split, edit: exclude(others) }] : [];
      });
    case 'conflict': {
      const labels = [...new Set(group.map((place) => of(place).label))];
      return [
        ...labels.map((label): Fix => {
          const others = group.filter((place) => of(place).label !== label);
          return { kind: 'keep-class', class: classes[label]!, edit: exclude(others) };
        }),
        { kind: 'exclude-all', edit: exclude(group) },
      ];
    }
    case 'single-image':
      return [{ kind: 'exclude-all', edit: exclude(group) }];
    case 'untrained-class':
      return [
        { kind: 'train-on', edit: { kind: 'move-to-split', images: group, split: 'train' } },
        { kind: 'exclude-all', edit: exclude(group) },
      ];
    default:
      return [];
  }
}
