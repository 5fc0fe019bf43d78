/** Pruners on the recorded curves of a real sweep, whose trials come in 20 orders. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Curve, Pruner } from '../../../src-main/sweep/pruner.ts';

const recorded = z.object({ epochs: z.int(), top1: z.array(z.array(z.number())) });

/**
 * Top-1 on val after each epoch, by trial, of a sweep of random LAST, MIET and linear trials over the orientation set (240
 * to train on, 200 of val) with the ViT that is built in. As many trials as a prime number: any step leads through all.
 */
export function readCurves() {
  return recorded.parse(JSON.parse(readFileSync(join(import.meta.dirname, 'curves.json'), 'utf8')));
}

const ORDERS = 20;

/** Orders of `count` trials; those of pruners.py. */
function orders(count: number): number[][] {
  return Array.from({ length: ORDERS }, (_, order) =>
    Array.from({ length: count }, (__, place) => (order + place * (order + 1)) % count),
  );
}

export interface Replayed {
  /** Of all epochs, those that were run; the mean of the orders. */
  spent: number;
  /** Top-1 of the best trial of all, less that of the best that ran to its end. */
  regret: number;
  /** The same of as many epochs without a pruner. */
  unpruned: number;
}

/** Trials run one after the other. */
export function replay(pruner: Pruner): Replayed {
  const { epochs, top1 } = readCurves();
  const peaks = top1.map((values) => Math.max(...values));
  const best = Math.max(...peaks);
  const outcomes = orders(top1.length).map((order): Replayed => {
    const seen: Curve[] = [];
    let [spent, found] = [0, 0];
    for (const trial of order) {
      const whole = top1[trial]!;
      let epoch = 1;
      while (epoch < epochs && !pruner(whole.slice(0, epoch), seen)) epoch++;
      spent += epoch;
      if (epoch === epochs) found = Math.max(found, peaks[trial]!);
      seen.push({ state: epoch === epochs ? 'done' : 'pruned', values: whole.slice(0, epoch) });
    }
    const asMany = order.slice(0, Math.floor(spent / epochs)).map((trial) => peaks[trial]!);
    return {
      spent: spent / (epochs * top1.length),
      regret: best - found,
      unpruned: best - Math.max(...asMany),
    };
  });
  const mean = (of: (each: Replayed) => number) => outcomes.reduce((sum, each) => sum + of(each), 0) / outcomes.length;
  return {
    spent: mean(({ spent }) => spent),
    regret: mean(({ regret }) => regret),
    unpruned: mean(({ unpruned }) => unpruned),
  };
}
