import type { Command } from 'commander';
import { Option } from 'commander';
import type { ExportRequest, ExportResult, FormParity } from '../../studio/export.ts';
import { byteSize, counted } from '../format.ts';
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
    .option('--half', 'keep weights as float16: files half as large, a wider tolerance')
    .option('--force', "replace another run's export in the folder")
    .action(async (run: string, request: Omit<ExportRequest, 'run'>) => {
      const { exportRun } = await import('../../studio/export.ts');
      const result = await exportRun(await session.workspace(), { ...request, run }, session.task());
      session.answer(result, describeExport(result));
    });
}

export function describeExport({ files, bytes, parity }: ExportResult): string {
  const checks = (['adaptor', 'merged'] as const).flatMap((form) => {
    const check = parity[form];
    return check ? agreement(form, check) : [];
  });
  return [...checks, ...files.map((file, index) => `Wrote ${file} (${byteSize(bytes[index])})`)].join('\n');
}

function agreement(form: string, { images, maxAbsLogit, bound, changed }: FormParity): string[] {
  return [
    `${form} against the predictions made here, ${counted(images, 'image')}: largest difference of a logit ${maxAbsLogit.toExponential(1)} of ${bound.toExponential(1)} allowed, top-1 changed on ${changed.length}`,
    ...changed.map(
      ({ image, from, to, margin }) => `  ${image}: ${to}, here ${from} by a margin of ${margin.toExponential(1)}`,
    ),
  ];
}
