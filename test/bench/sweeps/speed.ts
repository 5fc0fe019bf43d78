import { tsSide, type SideSummary } from '../measure.ts';
import type { Bench, Outcome, Row } from '../outcome.ts';

type Sides = Outcome['sides'];

/** What trials side by side save, over separate runs and over one worker. */
export function sweepSpeed(whole: boolean): Bench {
  const side = (how: string, ...more: string[]) =>
    tsSide('sweep.ts', ['--how', how, ...(whole ? ['--whole'] : []), ...more], 1);
  // Of LAST half as many: each takes several times as long, and what is asked is asked of MIET.
  const last = (how: string) => side(how, '--method', 'last', '--trials', '4');
  const size = whole
    ? '1,000 pictures, 20 epochs, a ViT of the shape of ViT-Ti (20 minutes and more on two cores)'
    : '500 small pictures, 10 epochs, a small ViT';
  return {
    about: `eight trials of MIET, from pictures to the winner, ${size}: separate runs with all threads, each with features of its own; sweeps of one trial at a time with one thread and with all, of one a core, of four lanes a core, and as shipped; LAST, four trials; and four settings of LAST by themselves, apart and as lanes`,
    sides: {
      separate: side('separate'),
      one: side('one'),
      one_all_threads: side('one-all-threads'),
      all: side('all'),
      lanes: side('lanes'),
      shipped: side('shipped'),
      last_separate: last('separate'),
      last_shipped: last('shipped'),
      four_apart: tsSide('lanes.ts', ['--apart'], 1),
      four_lanes: tsSide('lanes.ts', [], 1),
    },
    ratios: {
      over_separate: ['separate', 'shipped'],
      over_one: ['one', 'shipped'],
      over_all_threads: ['one_all_threads', 'shipped'],
      lanes_over_none: ['all', 'lanes'],
      last_over_separate: ['last_separate', 'last_shipped'],
      four_lanes: ['four_apart', 'four_lanes'],
    },
    repeats: 1,
    rows: ({ sides, ratio }) => {
      const four = ratio.four_lanes!;
      return [
        {
          what: '8 trials of MIET, a worker a core (as shipped), against one worker with one thread',
          asked: '1.8 x on two cores, of what the trials take; extraction uses all cores in both',
          ...against(sides, 'one', (whole, trials) => Math.max(whole, trials) >= 1.8),
        },
        {
          what: 'the same against one worker with all threads',
          asked: 'never slower',
          ...against(sides, 'one_all_threads', (whole) => whole >= 1),
        },
        {
          what: 'the same against separate runs with all threads, each with features of its own',
          asked: '2 x; LAST beside it',
          measured: `${comparison(sides, 'separate')}. LAST, 4 trials: ${comparison(sides, 'last_separate', 'last_shipped')}`,
          reached: ratio.over_separate!.time >= 2,
        },
        {
          what: 'lanes, as many as are found to pay, against none and against four',
          asked: 'within 5 % of the better',
          measured: ['shipped', 'all', 'lanes'].map((name) => `${name} ${rateOf(sides[name]!)}`).join(', '),
          reached: sides.shipped!.ms.median <= 1.05 * Math.min(sides.all!.ms.median, sides.lanes!.ms.median),
        },
        {
          what: '4 settings as lanes of one process against four processes, one after the other',
          asked: 'never slower',
          measured: `${four.time.toFixed(2)} x, with ${(1 / four.memory).toFixed(2)} x the memory of one`,
          reached: four.time >= 1,
        },
      ].map((row): Row => ({ ...row, what: whole ? row.what : `${row.what} (small)` }));
    },
  };
}

function against(sides: Sides, other: string, isReached: (whole: number, trials: number) => boolean) {
  const [whole, trials] = speedUps(sides[other]!, sides.shipped!);
  return { measured: comparison(sides, other), reached: isReached(whole, trials) };
}

/** How much sooner a side is done, with extraction and without. */
function speedUps(other: SideSummary, side: SideSummary): [whole: number, trials: number] {
  return [other.ms.median / side.ms.median, trialMs(other) / trialMs(side)];
}

function comparison(sides: Sides, other: string, side = 'shipped'): string {
  const [whole, trials] = speedUps(sides[other]!, sides[side]!);
  return `${whole.toFixed(2)} x, trials alone ${trials.toFixed(2)} x: ${rateOf(sides[side]!)} against ${rateOf(sides[other]!)}`;
}

/** Trials a minute, with extraction and without, and the peak of all processes together. */
function rateOf(side: SideSummary): string {
  const rate = (ms: number) => ((60_000 * side.figures!.trials!) / ms).toFixed(1);
  const mebibytes = (side.peakRssBytes.median / 2 ** 20).toFixed(0);
  return `${rate(side.ms.median)} trials a minute (alone ${rate(trialMs(side))}; ${mebibytes} MiB)`;
}

/** All but extraction. */
function trialMs({ ms, figures }: SideSummary): number {
  return ms.median - 1000 * figures!.extractSeconds!;
}
