import { describe, expect, it } from 'vitest';
import { MemoryBudget } from '../../../src-main/sweep/memory-budget.ts';
import { prunerOf } from '../../../src-main/sweep/pruner.ts';
import { samplerOf } from '../../../src-main/sweep/sampler.ts';
import { Scheduler, type Schedule } from '../../../src-main/sweep/schedule.ts';
import type { TrialRunner } from '../../../src-main/sweep/trial-runner.ts';
import type { SweepEvent } from '../../../src-main/sweep/sweep-events.ts';
import { SweepState } from '../../../src-main/sweep/sweep-state.ts';
import { instantRunner, instantTrial, metricsAt, simulate, SPACE } from '../../bench/sweeps/simulate.ts';

/** A sweep of random trials, all of whose events are kept. */
function sweepOf(
  runner: TrialRunner,
  {
    trials = 12,
    parallel = 2,
    events = [],
    ...more
  }: Partial<Schedule> & { trials?: number; parallel?: number; events?: SweepEvent[] } = {},
) {
  const state = new SweepState(SPACE);
  for (const event of events) state.apply(event);
  const kept: SweepEvent[] = [];
  const scheduler = new Scheduler({
    sampler: samplerOf('random', SPACE, 5),
    pruner: prunerOf('none', 9),
    lag: null,
    memory: null,
    lanes: 1,
    runner,
    state,
    keep: (event) => kept.push(event),
    controls: { trials, parallel, stopped: [], extensions: [] },
    ...more,
  });
  return { state, kept, scheduler };
}

/** A sweep whose trials learn from each other, in a fixed order. */
const LEARNING = { sampler: samplerOf('tpe', SPACE, 5), pruner: prunerOf('asha', 9), lag: 8 };

const tableOf = ({ trials }: SweepState) =>
  trials.map(({ number, point, state, values }) => ({ number, point, state, values }));

describe('a sweep', () => {
  it('runs as many trials at a time as are wanted, and all in the end', async () => {
    let running = 0;
    let most = 0;
    const runner = instantRunner((trial) => {
      most = Math.max(most, ++running);
      return instantTrial(trial).finally(() => running--);
    });
    const { state, scheduler } = sweepOf(runner, { trials: 12, parallel: 3 });
    await scheduler.run();
    expect(most).toBe(3);
    expect(tableOf(state).map((trial) => trial.state)).toEqual(Array.from({ length: 12 }, () => 'done'));
  });

  it('keeps the reason of a trial that fails, and goes on', async () => {
    const runner = instantRunner((trial) =>
      trial.trial === 3 ? Promise.reject(new Error('It diverged.')) : instantTrial(trial),
    );
    const { state, scheduler } = sweepOf(runner);
    await scheduler.run();
    expect(state.trials[3]).toMatchObject({ state: 'failed', reason: 'It diverged.' });
    expect(state.known().filter((trial) => trial.state === 'done')).toHaveLength(11);
  });

  it('ends as a whole where it cannot go on, with nothing left running', async () => {
    const full = new Error('The disk is full.');
    let running = 0;
    const instant = instantRunner(async (trial) => {
      running++;
      try {
        if (trial.trial === 4) throw full;
        return await instantTrial(trial);
      } finally {
        running--;
      }
    });
    const runner: TrialRunner = { ...instant, endsSweep: (error) => error === full };
    await expect(sweepOf(runner).scheduler.run()).rejects.toBe(full);
    expect(running).toBe(0);
  });

  it('with a lag, comes to the same table whatever runs at a time', async () => {
    const tables = [];
    for (const [parallel, lanes] of [
      [1, 1],
      [2, 1],
      [5, 1],
      [1, 4],
      [2, 3],
    ] as const)
      tables.push(tableOf(await simulate({ sampler: 'tpe', pruner: 'asha', trials: 40, parallel, lanes, lag: 8 })));
    expect(tables[0]!.some(({ state }) => state === 'pruned')).toBe(true);
    for (const table of tables) expect(table).toEqual(tables[0]);
  });

  it('packs trials of a kind into processes, in even shares, and puts others aside for the next', async () => {
    const packs: number[][] = [];
    const instant = instantRunner();
    const runner: TrialRunner = {
      ...instant,
      run: (trials) => {
        packs.push(trials.map(({ trial }) => trial));
        return instant.run(trials);
      },
    };
    const { state, scheduler } = sweepOf(runner, { trials: 30, parallel: 2, lanes: 4 });
    await scheduler.run();
    expect(state.known().every((trial) => trial.state === 'done')).toBe(true);
    expect(packs.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, trial) => trial));
    const kindOf = (trial: number) => String(state.trials[trial]!.point.method);
    for (const pack of packs) expect(new Set(pack.map(kindOf)).size).toBe(1);
    expect(Math.max(...packs.map(({ length }) => length))).toBe(4);
    expect(packs.length).toBeLessThan(18);
    const few = sweepOf(runner, { sampler: samplerOf('grid', [SPACE[0]!], 1), trials: 3, parallel: 3, lanes: 4 });
    packs.length = 0;
    await few.scheduler.run();
    expect(packs).toEqual([[0], [1], [2]]);
  });

  it('cut off after any event, goes on to the same table and runs nothing twice', async () => {
    const how = { ...LEARNING, trials: 24, parallel: 2 };
    const whole = sweepOf(instantRunner(), how);
    await whole.scheduler.run();
    expect(whole.state.known().some(({ state }) => state === 'pruned')).toBe(true);
    for (let cut = 0; cut <= whole.kept.length; cut++) {
      const events = whole.kept.slice(0, cut);
      const ended = new Set(events.flatMap((event) => (event.event === 'end' ? [event.trial] : [])));
      const runner = instantRunner((trial) => {
        expect(ended).not.toContain(trial.trial);
        return instantTrial(trial);
      });
      const rest = sweepOf(runner, { ...how, events });
      await rest.scheduler.run();
      expect(tableOf(rest.state)).toEqual(tableOf(whole.state));
    }
  });

  it('believes a trial that has ended, where the log has lost it', async () => {
    const whole = sweepOf(instantRunner(), { trials: 3 });
    await whole.scheduler.run();
    const ends = whole.kept.flatMap((event) => (event.event === 'end' ? [event] : []));
    const runner: TrialRunner = {
      ...instantRunner(() => Promise.reject(new Error('Nothing is to be run.'))),
      begun: (trial) =>
        Promise.resolve({
          point: whole.state.trials[trial]!.point,
          extension: undefined,
          epochs: whole.state.trials[trial]!.values.map((top1, index) => metricsAt(top1, index + 1)),
          end: ends.find((end) => end.trial === trial),
        }),
    };
    const rest = sweepOf(runner, { trials: 3 });
    await rest.scheduler.run();
    expect(tableOf(rest.state)).toEqual(tableOf(whole.state));
  });

  it('goes on with trials that are asked for, which changes nothing for the others', async () => {
    const whole = sweepOf(instantRunner(), { ...LEARNING, trials: 30, parallel: 1 });
    await whole.scheduler.run();
    const readied: number[] = [];
    const runner: TrialRunner = {
      ...instantRunner(),
      extend: (trial) => Promise.resolve(void readied.push(trial)),
    };
    const rest = sweepOf(runner, { ...LEARNING, trials: 30, parallel: 1 });
    const done = whole.state.known().filter((trial) => trial.state === 'done');
    const extensions = [done[2]!, done[4]!].map(({ number: of }) => ({ of, by: 5 }));
    rest.scheduler.change({ trials: 30, parallel: 1, stopped: [], extensions });
    await rest.scheduler.run();
    const more = rest.state.known().filter(({ extension }) => extension);
    expect(more.map(({ extension }) => extension)).toEqual(extensions);
    expect(more.map(({ number }) => number)).toEqual(readied);
    expect(more.map(({ point }) => point)).toEqual(extensions.map(({ of }) => rest.state.trials[of]!.point));
    const others = rest.state.known().filter(({ extension }) => !extension);
    expect(others.map(({ point, state, values }) => ({ point, state, values }))).toEqual(
      whole.state.known().map(({ point, state, values }) => ({ point, state, values })),
    );
    expect(rest.state.lacks({ trials: 30, extensions })).toBe(false);
    expect(rest.state.lacks({ trials: 30, extensions: [{ ...extensions[0]!, by: 6 }] })).toBe(true);
  });

  it('keeps ten trials ready to be gone on with, the best', async () => {
    const settled: number[] = [];
    const runner: TrialRunner = { ...instantRunner(), settle: (trial) => Promise.resolve(void settled.push(trial)) };
    const { state, scheduler } = sweepOf(runner, { trials: 14 });
    await scheduler.run();
    const worst = state.ranked().slice(10);
    expect(settled.toSorted((a, b) => a - b)).toEqual(worst.map(({ number }) => number).sort((a, b) => a - b));
  });

  it('ends a trial by hand, takes more trials, and stops when told', async () => {
    const begun: number[] = [];
    const runner = instantRunner(async (trial) => {
      begun.push(trial.trial);
      if (trial.trial === 0)
        await new Promise((_, reject) =>
          trial.signal.addEventListener('abort', () => reject(trial.signal.reason as Error)),
        );
      return instantTrial(trial);
    });
    const stop = new AbortController();
    const { state, scheduler } = sweepOf(runner, { trials: 2, parallel: 1, signal: stop.signal });
    const running = scheduler.run();
    while (begun.length === 0) await new Promise((resolve) => setImmediate(resolve));
    scheduler.change({ trials: 3, parallel: 1, stopped: [0], extensions: [] });
    await running;
    expect(state.trials[0]).toMatchObject({ state: 'pruned', reason: 'stopped by hand' });
    expect(begun).toEqual([0, 1, 2]);
    const stopped = sweepOf(runner, { signal: AbortSignal.abort(new Error('Enough.')) });
    await expect(stopped.scheduler.run()).rejects.toThrow('Enough.');
  });
});

describe('a memory budget', () => {
  const load = (shape: string, lanes = 1) => ({ shape, lanes });

  it('lets a trial start alone, and others by what those like it have taken', () => {
    const budget = new MemoryBudget(1000);
    expect(budget.fits(load('a'), [])).toBe(true);
    expect(budget.fits(load('a'), [load('a')])).toBe(false);
    budget.measured(load('a'), 400);
    expect(budget.fits(load('a'), [load('a')])).toBe(true);
    expect(budget.fits(load('a'), [load('a'), load('a')])).toBe(false);
    budget.measured(load('b'), 700);
    expect(budget.fits(load('b'), [load('a')])).toBe(false);
    expect(budget.fits(load('c'), [load('a')])).toBe(false);
    expect(budget.fits(load('b'), [])).toBe(true);
    expect(new MemoryBudget(null).fits(load('a'), [load('a'), load('a')])).toBe(true);
  });

  it('counts lanes as processes until they are measured', () => {
    const budget = new MemoryBudget(1000);
    expect(budget.fits(load('a', 2), [])).toBe(false);
    budget.measured(load('a'), 400);
    expect(budget.fits(load('a', 2), [])).toBe(true);
    expect(budget.fits(load('a', 3), [])).toBe(false);
    budget.measured(load('a', 2), 440);
    expect(budget.fits(load('a', 4), [])).toBe(true);
    expect(budget.fits(load('a', 2), [load('a', 2)])).toBe(true);
    expect(budget.fits(load('a'), [load('a', 2)])).toBe(true);
    expect(budget.fits(load('b', 2), [load('a', 2)])).toBe(true);
  });
});
