/**
 * The pages by their address. The first is there at once; the others are fetched when they are gone to, or before, as
 * soon as the window has nothing else to do: what only they need (chart.js above all) does not hold up the first paint.
 */
import type { Component } from 'svelte';
import { SvelteMap } from 'svelte/reactivity';
import type { Place } from '../state/router.svelte.ts';
import Start from './Start.svelte';

const fetches: Record<string, () => Promise<{ default: Component }>> = {
  datasets: () => import('./Datasets.svelte'),
  backbones: () => import('./Backbones.svelte'),
  train: () => import('./Train.svelte'),
  sweeps: () => import('./Sweeps.svelte'),
  'sweeps/one': () => import('./Sweep.svelte'),
  runs: () => import('./Runs.svelte'),
  'runs/one': () => import('./Run.svelte'),
  try: () => import('./Try.svelte'),
  edge: () => import('./Edge.svelte'),
  settings: () => import('./Settings.svelte'),
};

/** The first second belongs to the page that was asked for and its data. */
const FIRST_MS = 1000;

class Pages {
  private readonly there = new SvelteMap<string, Component>();
  /** Why the page that was last gone to cannot be shown; null while it can. */
  failure = $state<unknown>(null);

  /** undefined while it is on its way. */
  at(place: Place): Component | undefined {
    const name = nameOf(place);
    return name === undefined ? Start : this.there.get(name);
  }

  /** Fetches the page of a place. @returns undefined when it is there; else what never rejects */
  fetch(place: Place): Promise<void> | undefined {
    const name = nameOf(place);
    this.failure = null;
    if (name === undefined || this.there.has(name)) return undefined;
    return this.keep(name).catch((failure: unknown) => void (this.failure = failure));
  }

  /** Fetches one page after the other, whenever nothing else is to be done. */
  async fetchAll(): Promise<void> {
    // Not before what is here is drawn.
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, FIRST_MS)));
    for (const name of Object.keys(fetches)) {
      await idle();
      // Asked for again, and told, when it is gone to.
      if (!this.there.has(name)) await this.keep(name).catch(() => undefined);
    }
  }

  private async keep(name: string): Promise<void> {
    const { default: Page } = await fetches[name]!();
    this.there.set(name, Page);
  }
}

/** undefined for the first page, which is also shown where there is none. */
function nameOf({ path }: Place): string | undefined {
  const [page = ''] = path;
  const one = `${page}/one`;
  if (path.length > 1 && Object.hasOwn(fetches, one)) return one;
  return Object.hasOwn(fetches, page) ? page : undefined;
}

function idle(): Promise<void> {
  return new Promise((resolve) => {
    // Safari has no such callback.
    if ('requestIdleCallback' in window) requestIdleCallback(() => resolve());
    else setTimeout(resolve, 200);
  });
}

export const pages = new Pages();
