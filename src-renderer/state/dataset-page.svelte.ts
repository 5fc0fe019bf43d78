/** A dataset that is being looked at and edited: what fits the filter, what of it is selected, and the edits. */
import type { CallName, ReplyOf, RequestOf } from '../../src-main/studio/service/calls.ts';
import { count } from '../text/format.ts';
import { text } from '../text/text.ts';
import { studio } from './studio.svelte.ts';
import { attempt, toasts } from './toasts.svelte.ts';

export type DatasetView = ReplyOf<'datasets.show'>;
export type Listed = ReplyOf<'datasets.images'>['images'][number];
export type Filter = Omit<RequestOf<'datasets.select'>, 'name'>;
export type EditWish = RequestOf<'datasets.edit'>['edit'];
type Edited = ReplyOf<'datasets.edit'>;

/** Images that are asked for together. */
const PAGE = 200;

export class DatasetPage {
  view = $state.raw<DatasetView | null>(null);
  /** Places in the dataset of the images that fit the filter, in order. */
  places = $state.raw<readonly number[] | null>(null);
  selected = $state.raw<ReadonlySet<number>>(new Set());
  /** What is known of images, by place. */
  known = $state.raw<ReadonlyMap<number, Listed>>(new Map());
  private asked = new Set<number>();
  private filter: Filter = {};
  /** Answers to older questions come too late. */
  private generation = 0;

  constructor(readonly name: string) {}

  get classes(): string[] {
    return this.view ? [...this.view.classes, ...this.view.gone] : [];
  }

  /** Asks for everything again: after an edit, an import, or with another filter. */
  async load(filter: Filter): Promise<void> {
    const mine = ++this.generation;
    this.filter = filter;
    await attempt(async () => {
      const [view, places] = await Promise.all([
        studio.call('datasets.show', { name: this.name }),
        studio.call('datasets.select', { name: this.name, ...filter }),
      ]);
      if (mine !== this.generation) return;
      // Another import gives places to other images.
      if (this.view && this.view.stamp !== view.stamp) {
        this.known = new Map();
        this.selected = new Set();
      }
      this.view = view;
      this.places = places;
      this.asked = new Set();
      const there = new Set(places);
      if ([...this.selected].some((place) => !there.has(place)))
        this.selected = new Set([...this.selected].filter((place) => there.has(place)));
    });
  }

  /** Makes known what is shown from one position among those that fit to another. */
  async need(first: number, last: number): Promise<void> {
    for (let page = Math.floor(first / PAGE); page * PAGE < last; page++) {
      if (this.asked.has(page)) continue;
      this.asked.add(page);
      const mine = this.generation;
      const request = { name: this.name, ...this.filter, offset: page * PAGE, limit: PAGE };
      await attempt(async () => {
        const { images } = await studio.call('datasets.images', request);
        if (mine !== this.generation) return;
        const known = new Map(this.known);
        for (const image of images) known.set(image.index, image);
        this.known = known;
      });
    }
  }

  select(places: Iterable<number>): void {
    this.selected = new Set(places);
  }

  async edit(edit: EditWish): Promise<void> {
    const stamp = this.view?.stamp;
    await attempt(async () => {
      const edited = await studio.call('datasets.edit', { name: this.name, edit, ...(stamp ? { stamp } : {}) });
      toasts.say(this.words(edited), () => this.step('undo', edited.line));
    });
  }

  /** @param meant line of the edit that is meant; whichever comes when left out */
  async step(step: 'undo' | 'redo', meant?: number): Promise<void> {
    await attempt(async () => {
      const call: CallName & ('datasets.undo' | 'datasets.redo') = `datasets.${step}`;
      const { edit, line } = await studio.call(call, { name: this.name, line: meant });
      const what = text.datasets.edit(edit);
      if (step === 'redo') toasts.say(text.datasets.redone(what));
      else toasts.say(text.datasets.undone(what), () => this.step('redo', line));
    });
  }

  private words({ edit, changed }: Edited): string {
    const what = text.datasets.edit(edit);
    return 'images' in edit ? what : `${what} (${text.datasets.shown(count(changed))})`;
  }
}
