import type { Command } from 'commander';
import { methodTable } from '../run-words.ts';
import type { Session } from '../session.ts';
import { describeSweep } from '../sweep-words.ts';
import { describeExport } from './export.ts';

export function addDemoCommand(program: Command, session: Session): void {
  program
    .command('demo')
    .description('sample images and a small backbone: linear, MIET and LAST trained, a sweep, one exported and checked')
    .action(async () => {
      const { runDemo } = await import('../../studio/demo.ts');
      const { showSweep } = await import('../../studio/sweeps/sweeps.ts');
      const workspace = await session.workspace();
      const demo = await runDemo(workspace, {
        ...session.task(),
        onStep: (sentence) => session.remark(sentence),
        onEpoch: (metrics, epochs) => session.progress.epoch(metrics, epochs),
      });
      const words = [
        methodTable(demo.runs),
        describeSweep(await showSweep(workspace, demo.sweep.sweep)),
        'The backbone has seen generated shapes and no photograph: for images of yours, add a ViT that was pretrained on photographs.',
        describeExport(demo.export),
      ];
      session.answer(demo, words.join('\n\n'));
    });
}
