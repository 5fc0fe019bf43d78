import { describe, expect, it } from 'vitest';
import { MemoryBudget } from '../../../src-main/sweep/memory-budget.ts';
import { prunerOf } from '../../../src-main/sweep/pruner.ts';
import { samplerOf } from '../../../src-main/sweep/sampler.ts';
import { Scheduler, type Schedule, type TrialRunner } from '../../../src-main/sweep/schedule.ts';
import type { SweepEvent } from '../../../src-main/sweep/sweep-events.ts';
import { SweepState } from '../../../src-main/sweep/sweep-state.ts';
import { instantRunner, metricsAt, simulate, SPACE } from '../../bench/sweeps/simulate.ts';

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
    const instant = instantRunner();
    const runner: TrialRunner = {
      ...instant,
      run: async (...args) => {
        most = Math.max(most, ++running);
        return instant.run(...args).finally(() => running--);
      },
    };
    const { state, scheduler } = sweepOf(runner, { trials: 12, parallel: 3 });
    await scheduler.run();
    expect(most).toBe(3);
    expect(tableOf(state).map((trial) => trial.state)).toEqual(Array.from({ length: 12 }, () => 'done'));
  });

  it('keeps the reason of a trial that fails, and goes on', async () => {
    const instant = instantRunner();
    const runner: TrialRunner = {
      ...instant,
      run: (trial, ...rest) => (trial === 3 ? Promise.reject(new Error('It diverged.')) : instant.run(trial, ...rest)),
    };
    const { state, scheduler } = sweepOf(runner);
    await scheduler.run();
    expect(state.trials[3]).toMatchObject({ state: 'failed', reason: 'It diverged.' });
    expect(state.known().filter((trial) => trial.state === 'done')).toHaveLength(11);
  });

  it('ends as a whole where it cannot go on, with nothing left running', async () => {
    const instant = instantRunner();
    const full = new Error('The disk is full.');
    let running = 0;
    const runner: TrialRunner = {
      ...instant,
      endsSweep: (error) => error === full,
      run: async (trial, ...rest) => {
        running++;
        try {
          if (trial === 4) throw full;
          return await instant.run(trial, ...rest);
        } finally {
          running--;
        }
      },
    };
    await expect(sweepOf(runner).scheduler.run()).rejects.toBe(full);
    expect(running).toBe(0);
  });

  it('with a lag, comes to the same table whatever runs at a time', async () => {
    const tables = [];
    for (const parallel of [1, 2, 5])
      tables.push(tableOf(await simulate({ sampler: 'tpe', pruner: 'asha', trials: 40, parallel, lag: 8 })));
    expect(tables[0]!.some(({ state }) => state === 'pruned')).toBe(true);
    expect(tables[1]).toEqual(tables[0]);
    expect(tables[2]).toEqual(tables[0]);
  });

  it('cut off after any event, goes on to the same table and runs nothing twice', async () => {
    const how = { ...LEARNING, trials: 24, parallel: 2 };
    const whole = sweepOf(instantRunner(), how);
    await whole.scheduler.run();
    expect(whole.state.known().some(({ state }) => state === 'pruned')).toBe(true);
    for (let cut = 0; cut <= whole.kept.length; cut++) {
      const events = whole.kept.slice(0, cut);
      const ended = new Set(events.flatMap((event) => (event.event === 'end' ? [event.trial] : [])));
      const instant = instantRunner();
      const runner: TrialRunner = {
        ...instant,
        run: (trial, ...rest) => {
          expect(ended).not.toContain(trial);
          return instant.run(trial, ...rest);
        },
      };
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
      ...instantRunner(),
      begun: (trial) =>
        Promise.resolve({
          point: whole.state.trials[trial]!.point,
          extension: undefined,
          epochs: whole.state.trials[trial]!.values.map((top1, index) => metricsAt(top1, index + 1)),
          end: ends.find((end) => end.trial === trial),
        }),
      run: () => Promise.reject(new Error('Nothing is to be run.')),
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
    const instant = instantRunner();
    const begun: number[] = [];
    const runner: TrialRunner = {
      ...instant,
      run: async (trial, point, hooks) => {
        begun.push(trial);
        if (trial === 0)
          await new Promise((_, reject) =>
            hooks.signal.addEventListener('abort', () => reject(hooks.signal.reason as Error)),
          );
        return instant.run(trial, point, hooks);
      },
    };
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
  it('lets a trial start alone, and others by what those like it have taken', () => {
    const budget = new MemoryBudget(1000);
    expect(budget.fits('a', [])).toBe(true);
    expect(budget.fits('a', ['a'])).toBe(false);
    budget.measured('a', 400);
    expect(budget.fits('a', ['a'])).toBe(true);
    expect(budget.fits('a', ['a', 'a'])).toBe(false);
    budget.measured('b', 700);
    expect(budget.fits('b', ['a'])).toBe(false);
    expect(budget.fits('c', ['a'])).toBe(false);
    expect(budget.fits('b', [])).toBe(true);
    expect(new MemoryBudget(null).fits('a', ['a', 'a'])).toBe(true);
  });
});
