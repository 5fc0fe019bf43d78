import type { Command } from 'commander';
import { Argument } from 'commander';
import { z } from 'zod';
import { Failure } from '../../base/failure.ts';
import { splitNames, type EditWish, type Workspace } from '../../studio/contract.ts';
import { describeEdited, overviewOfEdits } from '../dataset-words.ts';
import { checkFlags, realNumber, wholeNumber } from '../flags.ts';
import type { Session } from '../session.ts';

const flagsSchema = z.object({
  into: z.string().optional(),
  class: z.string().optional(),
  split: z.enum(splitNames).optional(),
  val: realNumber('--val', { min: 0, max: 0.9 }).optional(),
  test: realNumber('--test', { min: 0, max: 0.9 }).optional(),
  seed: wholeNumber('--seed').optional(),
});
type Flags = z.output<typeof flagsSchema>;

interface Action {
  /** Of what follows the action. */
  usage: string;
  /** How many words follow it. */
  words: [least: number, most: number];
  flags: readonly (keyof Flags)[];
}

const ACTIONS = {
  'rename-class': { usage: 'OLD NEW', words: [2, 2], flags: [] },
  'merge-classes': { usage: 'CLASS... --into CLASS', words: [1, Infinity], flags: ['into'] },
  move: { usage: 'IMAGE... --class CLASS | --split SPLIT', words: [1, Infinity], flags: ['class', 'split'] },
  exclude: { usage: 'IMAGE...', words: [1, Infinity], flags: [] },
  include: { usage: 'IMAGE...', words: [1, Infinity], flags: [] },
  split: { usage: '[--val F] [--test F] [--seed N]', words: [0, 0], flags: ['val', 'test', 'seed'] },
  undo: { usage: '', words: [0, 0], flags: [] },
  redo: { usage: '', words: [0, 0], flags: [] },
} as const satisfies Record<string, Action>;
type ActionName = keyof typeof ACTIONS;

const actionNames = Object.keys(ACTIONS) as ActionName[];
const usageOf = (action: ActionName): string => `sidetune datasets edit NAME ${action} ${ACTIONS[action].usage}`.trim();

export function addEditCommands(datasets: Command, session: Session): void {
  datasets
    .command('edit')
    .description('rename and merge classes, move, exclude and include images, deal the splits anew; your files stay')
    .argument('<name>')
    .addArgument(new Argument('<action>').choices(actionNames))
    .argument('[words...]', 'classes, or images by their path in the folder (#row behind that of a packed file)')
    .option('--into <class>', 'the class that others become part of')
    .option('--class <class>', 'the class to move images to; it may be a new one')
    .option('--split <split>', 'the split to move images to: train, val or test')
    .option('--val <fraction>', 'part of the images that goes to val (default: 0.2)')
    .option('--test <fraction>', 'part that goes to test (default: test images stay where they are)')
    .option('--seed <number>', 'of the deal (default: 1)')
    .addHelpText('after', `\nActions:\n${actionNames.map((action) => `  ${usageOf(action)}`).join('\n')}`)
    .action(async (name: string, action: ActionName, words: string[], options: Record<string, string>) => {
      const flags = checkFlags(flagsSchema, options);
      checkUsage(action, words, flags);
      const { editDataset, stepEdits } = await import('../../studio/datasets/dataset-edits.ts');
      const workspace = await session.workspace();
      const step = action === 'undo' || action === 'redo' ? action : undefined;
      const edited = step
        ? await stepEdits(workspace, name, step)
        : await editDataset(workspace, name, await wishOf(workspace, name, action, words, flags));
      session.answer(edited, describeEdited(edited, step ?? 'edit'));
    });

  datasets
    .command('edits')
    .description('the edits of a dataset, with those that can be redone and what no longer applies')
    .argument('<name>')
    .action(async (name: string) => {
      const { listEdits } = await import('../../studio/datasets/dataset-edits.ts');
      const edits = await listEdits(await session.workspace(), name);
      session.answer({ name, edits }, overviewOfEdits(name, edits));
    });
}

/** @throws Failure `usage` */
function checkUsage(action: ActionName, words: readonly string[], flags: Flags): void {
  const { words: bounds, flags: own }: Action = ACTIONS[action];
  const stray = Object.keys(flags).find((flag) => !own.includes(flag as keyof Flags));
  if (stray) throw new Failure('usage', `--${stray} does not go with ${action}: ${usageOf(action)}.`);
  if (words.length < bounds[0] || words.length > bounds[1]) throw wrong(action);
}

function wrong(action: ActionName): Failure {
  return new Failure('usage', `"${action}" is used as: ${usageOf(action)}.`);
}

async function wishOf(
  workspace: Workspace,
  name: string,
  action: ActionName,
  words: string[],
  { into, class: named, split, val, test, seed }: Flags,
): Promise<EditWish> {
  const { placesOf } = await import('../../studio/datasets/dataset-edits.ts');
  const images = () => placesOf(workspace, name, words);
  switch (action) {
    case 'rename-class':
      return { kind: 'rename-class', class: words[0]!, to: words[1]! };
    case 'merge-classes':
      if (into === undefined) throw wrong(action);
      return { kind: 'merge-classes', classes: words, into };
    case 'exclude':
    case 'include':
      return { kind: action, images: await images() };
    case 'move':
      // To both at once would be two edits.
      if ((named === undefined) === (split === undefined)) throw wrong(action);
      if (split !== undefined) return { kind: 'move-to-split', images: await images(), split };
      return { kind: 'move-to-class', images: await images(), class: named! };
    case 'split':
      return { kind: 'split', val: val ?? 0.2, test: test ?? null, seed: seed ?? 1 };
    case 'undo':
    case 'redo':
      throw wrong(action);
  }
}
