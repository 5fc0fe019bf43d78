import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { tsSide, type Side } from '../measure.ts';
import type { MakeBench, Row } from '../outcome.ts';
import { sweepSpeed } from './speed.ts';

/** Of sweeps: how well samplers search, what the scheduler takes, and what trials side by side save. */
export const sweepBenches: Record<string, MakeBench> = {
  samplers: () => {
    const side = (sampler: string) => tsSide('samplers.ts', ['--sampler', sampler], 1);
    const optuna = optunaSide('optuna_regret.py');
    const optunaPruners = optunaSide('optuna_pruners.py');
    return {
      about:
        'regret after 100 trials on Branin, Hartmann-6 and Rosenbrock, median of 20 seeds; pruners on recorded curves',
      sides: {
        random: side('random'),
        quasi_random: side('quasi-random'),
        tpe: side('tpe'),
        ...(optuna ? { optuna_tpe: optuna } : {}),
        pruners: tsSide('pruners.ts', [], 1),
        ...(optunaPruners ? { optuna_pruners: optunaPruners } : {}),
      },
      ratios: {},
      repeats: 1,
      rows: ({ sides }) => [
        ...Object.keys(sides.tpe!.figures!).map((name): Row => {
          const of = (which: string) => sides[which]?.figures?.[name];
          const beside = of('optuna_tpe');
          const words = ['tpe', 'random', 'quasi_random', 'optuna_tpe']
            .filter((which) => of(which) !== undefined)
            .map((which) => `${which} ${of(which)!.toPrecision(3)}`);
          return {
            what: `TPE on ${name}: regret after 100 trials, median of 20 seeds`,
            asked: 'a third of random search, and no more than twice that of Optuna',
            measured: words.join(', '),
            reached: of('tpe')! < of('random')! / 3 && (beside === undefined || of('tpe')! < 2 * beside),
          };
        }),
        ...(['asha', 'median'] as const).map((kind) =>
          prunerRow(kind, sides.pruners!.figures!, sides.optuna_pruners?.figures),
        ),
      ],
    };
  },
  'sweep-scale': () => {
    const side = (trials: number, sampler = 'random') =>
      tsSide('sweep-scale.ts', ['--trials', String(trials), '--sampler', sampler], 1);
    return {
      about: 'trials that end at once: what the scheduler, ASHA and the log take themselves',
      sides: { trials_1000: side(1000), trials_10000: side(10_000), tpe_1000: side(1000, 'tpe') },
      ratios: { memory: ['trials_10000', 'trials_1000'] },
      repeats: 1,
      rows: ({ sides }) => {
        const each = sides.trials_10000!.figures!.msPerTrial!;
        const tpe = sides.tpe_1000!.figures!.msPerTrial!;
        const memory = sides.trials_10000!.peakRssBytes.median / sides.trials_1000!.peakRssBytes.median;
        return [
          {
            what: 'the scheduler with 10,000 instant trials of 9 epochs',
            asked: 'under 1 ms a trial',
            measured: `${each.toFixed(2)} ms, ${memory.toFixed(2)} x the memory of 1,000 (with TPE, 1,000 trials: ${tpe.toFixed(1)} ms)`,
            reached: each < 1,
          },
        ];
      },
    };
  },
  sweep: (_, { whole = false } = {}) => sweepSpeed(whole),
};

type Figures = Readonly<Record<string, number>>;

function prunerRow(kind: 'asha' | 'median', own: Figures, optuna: Figures | undefined): Row {
  const of = (figures: Figures, what: string) => figures[`${kind}_${what}`]!;
  const inWords = (figures: Figures) =>
    `${(100 * of(figures, 'spent')).toFixed(1)} % of the epochs, ${(100 * of(figures, 'regret')).toFixed(2)} points lost`;
  const beside = optuna ? `; Optuna: ${inWords(optuna)}` : '';
  const isEqual = !optuna || ['spent', 'regret'].every((what) => Math.abs(of(own, what) - of(optuna, what)) < 1e-9);
  return {
    what: `${kind} on the recorded curves of 79 trials, mean of 20 orders`,
    asked: 'what Optuna decides, and less lost than by as many epochs without a pruner',
    measured: `${inWords(own)} (as many epochs unpruned: ${(100 * of(own, 'unpruned')).toFixed(2)})${beside}`,
    reached: isEqual && of(own, 'regret') <= of(own, 'unpruned'),
  };
}

/** Optuna where a Python has it: SIDETUNE_PYTHON, else that of `.venv`. */
function optunaSide(script: string): Side | undefined {
  const python = process.env.SIDETUNE_PYTHON ?? join(import.meta.dirname, '../../../.venv/bin/python');
  if (spawnSync(python, ['-c', 'import optuna']).status !== 0) return undefined;
  return { command: python, args: [join(import.meta.dirname, script)] };
}
