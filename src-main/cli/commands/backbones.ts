import type { Command } from 'commander';
import { Option } from 'commander';
import { z } from 'zod';
import type { DamagedBackbone, DescribedBackbone, InspectedBackbone } from '../../studio/contract.ts';
import { checkFlags, realNumber, threeNumbers, wholeNumber } from '../flags.ts';
import { byteSize, grouped, table } from '../format.ts';
import type { Session } from '../session.ts';

const addFlags = z.object({
  name: z.string().optional(),
  size: wholeNumber('--size', { min: 1 }).optional(),
  mean: threeNumbers('--mean').optional(),
  std: threeNumbers('--std', { above: 0 }).optional(),
  fit: z.enum(['squash', 'crop']).optional(),
  cropPct: realNumber('--crop-pct', { above: 0, max: 1 }).optional(),
  interpolation: z.enum(['bicubic', 'bilinear']).optional(),
});

export function addBackboneCommands(program: Command, session: Session): void {
  const backbones = program.command('backbones').description('frozen Vision Transformers, as ONNX files');

  backbones
    .command('add')
    .description('take a plain ViT into the workspace; its blocks are found in the graph')
    .argument('<file.onnx>')
    .option('--name <name>', "its name in the workspace (default: the file's)")
    .option('--size <pixels>', 'side of the images it takes, where its file leaves that open')
    .option('--mean <r,g,b>', 'subtracted from channels in 0 to 1 (default: what the model says, else 0.5,0.5,0.5)')
    .option('--std <r,g,b>', 'what the difference is divided by (default: 0.5,0.5,0.5)')
    .addOption(new Option('--fit <fit>', 'how images get its size (default: squash)').choices(['squash', 'crop']))
    .option('--crop-pct <fraction>', 'with --fit crop: side of the centre crop over the shorter side (default: 1)')
    .addOption(
      new Option('--interpolation <kind>', 'when resizing (default: bicubic)').choices(['bicubic', 'bilinear']),
    )
    .action(async (file: string, options: unknown) => {
      const { name, ...preprocessing } = checkFlags(addFlags, options);
      const { addBackbone } = await import('../../studio/backbones.ts');
      const added = await addBackbone(await session.workspace(), { file, name, preprocessing });
      if (added.sameAs)
        session.remark(`It is the same file as ${added.sameAs.join(', ')}, prepared alike: they share their features.`);
      session.answer(added, describe(added));
    });

  backbones
    .command('list')
    .description('the backbones of the workspace, and the one that comes with the program')
    .action(async () => {
      const { EMBEDDED_BACKBONE, listBackbones } = await import('../../studio/backbones.ts');
      const found = await listBackbones(await session.workspace());
      session.answer(found, overview(found, EMBEDDED_BACKBONE));
    });

  backbones
    .command('remove')
    .description('take a backbone out of the workspace; the file it came from stays')
    .argument('<name>')
    .option('--force', 'also when runs were made with it, which then keep their results and can do no more')
    .action(async (name: string, { force }: { force?: boolean }) => {
      const { removeBackbone } = await import('../../studio/backbones.ts');
      await removeBackbone(await session.workspace(), name, { force });
      session.answer(
        { name, removed: true },
        `Removed the backbone "${name}"; the file it came from was left as it is.`,
      );
    });

  backbones
    .command('inspect')
    .description('blocks, width, tokens, prefix tokens and the taps found')
    .argument('<name>', 'of a backbone in the workspace, or the path of an ONNX file, which is not added')
    .action(async (name: string) => {
      const { inspectBackbone } = await import('../../studio/backbones.ts');
      const description = await inspectBackbone(await session.workspace(), name);
      session.answer(description, describe(description));
    });
}

function overview(
  { backbones, damaged }: { backbones: DescribedBackbone[]; damaged: DamagedBackbone[] },
  embedded: string,
): string {
  const rows = [
    ...backbones.map(({ name, blocks, width, tokens, parameters, preprocessing, bytes }) => [
      name,
      grouped(blocks),
      grouped(width),
      grouped(tokens),
      grouped(parameters),
      `${preprocessing.width} x ${preprocessing.height}`,
      byteSize(bytes),
    ]),
    ...damaged.map(({ name }) => [name, '-', '-', '-', '-', 'damaged', '-']),
  ];
  const hint = `${embedded} comes with the program, for trying things out: add a ViT that knows photographs with "sidetune backbones add FILE.onnx".`;
  const alone = rows.length === 1 && backbones[0]?.name === embedded;
  return [
    table(['NAME', 'BLOCKS>', 'WIDTH>', 'TOKENS>', 'PARAMETERS>', 'IMAGES', 'SIZE>'], rows),
    ...damaged.map(({ name, message }) => `${name}: ${message}`),
    ...(alone ? [hint] : []),
  ].join('\n');
}

function describe(backbone: InspectedBackbone): string {
  const { name, blocks, width, tokens, prefix, heads, parameters, taps, preprocessing, about, bytes } = backbone;
  const { preprocessingFrom } = backbone;
  const { mean, std, fit, cropPct, interpolation } = preprocessing;
  return [
    name,
    `  blocks       ${blocks}`,
    `  width        ${width}`,
    `  tokens       ${tokens}, ${prefix} of them prefix tokens`,
    `  heads        ${heads ?? 'not known'}`,
    `  parameters   ${grouped(parameters)}`,
    `  images       ${preprocessing.width} x ${preprocessing.height}, ${fit === 'crop' ? `crop ${cropPct}` : fit}, ${interpolation}`,
    `  channels     mean ${mean.join(', ')}; std ${std.join(', ')}`,
    ...(preprocessingFrom === undefined
      ? []
      : [`               (from ${preprocessingFrom}, but for what was asked for)`]),
    `  size         ${byteSize(bytes)}`,
    `  taps         ${taps.join('\n               ')}`,
    ...(about === undefined ? [] : [`  made         ${about}`]),
  ].join('\n');
}
