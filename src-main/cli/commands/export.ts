import type { Command } from 'commander';
import { Option } from 'commander';
import type { ExportRequest, ExportResult } from '../../studio/export.ts';
import { counted } from '../format.ts';
import { RUN } from '../run-words.ts';
import type { Session } from '../session.ts';

export function addExportCommand(program: Command, session: Session): void {
  program
    .command('export')
    .description('write a run as ONNX, checked against the predictions made here')
    .argument('<run>', RUN)
    .requiredOption('--out <dir>', 'folder to write to')
    .addOption(
      new Option(
        '--form <form>',
        'adaptor: from features to logits; merged: with the ViT, from pixels (default: both)',
      ).choices(['adaptor', 'merged']),
    )
    .action(async (run: string, { out, form }: { out: string; form?: ExportRequest['form'] }) => {
      const { exportRun } = await import('../../studio/export.ts');
      const result = await exportRun(await session.workspace(), { run, out, form }, session.task());
      session.answer(result, describeExport(result));
    });
}

export function describeExport({ files, parity }: ExportResult): string {
  const checks = (['adaptor', 'merged'] as const).flatMap((form) => {
    const check = parity[form];
    return check
      ? [
          `${form} against the predictions made here, ${counted(check.images, 'image')}: largest difference of a logit ${check.maxAbsLogit.toExponential(1)}, top-1 changed on ${check.top1Changes}`,
        ]
      : [];
  });
  return [...checks, ...files.map((file) => `Wrote ${file}`)].join('\n');
}
