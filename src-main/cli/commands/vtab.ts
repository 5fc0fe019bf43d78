import type { Command } from 'commander';
import { z } from 'zod';
import { METHODS } from '../../studio/contract.ts';
import { settingInWords } from '../../studio/runs.ts';
import { byteCount, checkFlags, MOST_THREADS, wholeNumber } from '../flags.ts';
import { percent } from '../format.ts';
import { readJsonFile } from '../json-file.ts';
import type { Session } from '../session.ts';

const vtabFlags = z.object({
  backbone: z.string(),
  methods: z.string().transform((text, context) => {
    const words = text.split(',').map((word) => word.trim());
    const methods = METHODS.filter((method) => words.includes(method));
    if (methods.length === words.length)
      return words.flatMap((word) => methods.find((method) => method === word) ?? []);
    context.addIssue(`--methods takes some of ${METHODS.join(', ')} between commas, each once, not "${text}".`);
    return z.NEVER;
  }),
  space: z.string().optional(),
  seed: wholeNumber('--seed', { min: 0 }).optional(),
  parallel: wholeNumber('--parallel', { min: 1 }).optional(),
  threads: wholeNumber('--threads', { min: 1, max: MOST_THREADS }).optional(),
  memory: byteCount('--memory').optional(),
  out: z.string().optional(),
});

export function addVtabCommand(program: Command, session: Session): void {
  program
    .command('vtab')
    .description(
      'the protocol of VTAB-1K over task folders: settings chosen on val200, trained again on the 1,000, test read once; what is done is kept, and the same command goes on',
    )
    .argument('<dir>', 'a folder with a folder for each task: train800.txt, val200.txt, test.txt')
    .requiredOption('--backbone <name>', 'a backbone of the workspace, or the path of an ONNX file')
    .option('--methods <methods>', 'what to train', METHODS.join(','))
    .option('--space <file>', 'a JSON file with a grid for each method, in place of the eight settings of each')
    .option('--seed <n>', 'default: 1')
    .option('--parallel <n>', 'processes that train at a time (default: as many as there are cores for)')
    .option('--threads <n>', 'of each trial (default: 1, so that the table is the same on all machines)')
    .option('--memory <bytes>', 'what trials that run together may take, such as 4GB')
    .option('--out <file>', 'a .csv or .json file with a line for each task and method')
    .action(async (folder: string, options: unknown) => {
      const { space, out, ...flags } = checkFlags(vtabFlags, options);
      const { runVtab } = await import('../../studio/vtab/run-vtab.ts');
      const { readGrids } = await import('../../studio/vtab/grids.ts');
      const { writeVtab } = await import('../../studio/vtab/write-vtab.ts');
      const { checkRecordsPath } = await import('../../studio/records-file.ts');
      const { describeVtab } = await import('../vtab-words.ts');
      const file = out === undefined ? undefined : await checkRecordsPath(out);
      const grids = space === undefined ? undefined : readGrids(await readJsonFile(space, 'The grids'));
      session.whenInterrupted = 'Interrupted; the same command goes on.';
      const answer = await runVtab(
        await session.workspace(),
        { ...flags, folder, grids },
        {
          ...session.task(),
          onStep: (sentence) => session.remark(sentence),
          onEvent: (event, state) => {
            if (event.event !== 'end') return;
            const trial = state.trials[event.trial];
            const settings = Object.entries(trial?.point ?? {}).map(
              ([name, value]) => `${settingInWords(name)} ${value}`,
            );
            const outcome = event.state === 'done' ? `val top-1 ${percent(trial?.value)}` : `failed: ${event.reason}`;
            session.remark(`trial ${event.trial}: ${outcome} (${settings.join(', ')})`);
          },
        },
      );
      const tasks = answer.results.map(({ task, method, top1, settings, seconds }) => ({
        task,
        method,
        top1,
        settings,
        seconds,
      }));
      if (file !== undefined) await writeVtab(file, answer);
      if (answer.failed.length > 0) session.exitCode = 1;
      const words = [
        describeVtab(answer),
        ...answer.failed.map(({ task, method, reason }) => `${task}, ${method}: ${reason}`),
        ...(file === undefined ? [] : [`Written to ${file}.`]),
      ];
      session.answer({ tasks, means: answer.means }, words.join('\n\n'));
    });
}
