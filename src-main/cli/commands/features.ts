import type { Command } from 'commander';
import type { CachedFeatures } from '../../studio/features.ts';
import { byteSize, table } from '../format.ts';
import type { Session } from '../session.ts';

interface ClearFlags {
  dataset?: string;
  backbone?: string;
  unused?: boolean;
  all?: boolean;
}

export function addFeatureCommands(program: Command, session: Session): void {
  const features = program.command('features').description('what backbones have extracted, kept for the next run');

  features
    .command('list')
    .description('the room that features take, by dataset and backbone')
    .action(async () => {
      const { listFeatures } = await import('../../studio/features.ts');
      const listed = await listFeatures(await session.workspace());
      session.answer(
        listed,
        listed.features.length === 0
          ? 'No features are kept.'
          : `${overview(listed.features)}\n\n${byteSize(listed.bytes)} in all`,
      );
    });

  features
    .command('clear')
    .description('delete features; what a running task needs is left, the rest is extracted again when it is needed')
    .option('--dataset <name>', 'those of one dataset')
    .option('--backbone <name>', 'those of one backbone')
    .option('--unused', 'only what no dataset as it is now, no sweep and no run needs any more')
    .option('--all', 'all of them')
    .action(async (flags: ClearFlags) => {
      const { clearFeatures } = await import('../../studio/features.ts');
      const answer = await clearFeatures(await session.workspace(), flags);
      for (const one of answer.inUse)
        session.remark(`Features of ${nameOf(one)} are being used by a running task and were left.`);
      session.answer(answer, `Cleared ${byteSize(answer.bytes)}.`);
    });
}

function overview(features: readonly CachedFeatures[]): string {
  return table(
    ['DATASET', 'BACKBONE', 'SIZE>', 'UNUSED>', 'IN USE'],
    features.map((one) => [
      one.dataset ?? `(${one.source ?? 'never finished'})`,
      one.backbone ?? '-',
      byteSize(one.bytes),
      one.unusedBytes > 0 ? byteSize(one.unusedBytes) : '-',
      one.inUse ? 'yes' : '',
    ]),
  );
}

function nameOf({ dataset, source, backbone }: CachedFeatures): string {
  return `${dataset ?? source ?? 'an unfinished extraction'}${backbone === null ? '' : ` and ${backbone}`}`;
}
