import { readFile, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { exists } from '../base/exists.ts';
import { Failure } from '../base/failure.ts';
import { makeFolder } from '../base/make-folder.ts';
import { syncFolder, temporaryName, writeFileAtomic } from '../workspace/atomic.ts';
import { sweepTemporaries } from '../workspace/sweep.ts';
import type { Card, Form, Parities } from './card-facts.ts';
import { cardText, runOfCard } from './card.ts';

export const FORMS: readonly Form[] = ['adaptor', 'merged'];

const CARD = 'README.md';
/** What says how an export's models are used; the card, without which no export is whole, goes first. */
const DESCRIPTIONS = [CARD, 'labels.txt', 'preprocessing.json'];

/** Whose export goes into a folder. */
export interface Exporter {
  run: string;
  /** Whether it may take the place of another run's. */
  force?: boolean | undefined;
}

/** An export's models, encoded, by form. */
export type EncodedModels = Partial<Record<Form, Uint8Array>>;

export const fileOf = (form: Form): string => `${form}.onnx`;

/**
 * Makes the folder of an export, or says why it cannot be one.
 * @throws Failure `bad-out` where it is no folder, cannot be made, or holds a model of an earlier export that this one
 * does not replace and that would then lie beside the wrong labels; `other-export` where that is of another run.
 * @returns its absolute path
 */
export async function prepareFolder(out: string, forms: readonly Form[], { run, force }: Exporter): Promise<string> {
  const folder = resolve(out);
  try {
    await makeFolder(folder);
  } catch (error) {
    throw new Failure('bad-out', `The folder "${folder}" cannot be made: choose another with --out.`, { cause: error });
  }
  for (const form of FORMS.filter((each) => !forms.includes(each))) {
    if (await exists(join(folder, fileOf(form))))
      throw new Failure(
        'bad-out',
        `"${folder}" holds the ${fileOf(form)} of an earlier export, which would no longer match its labels: remove it or choose another folder with --out.`,
      );
  }
  const exported = await Promise.all(FORMS.map((form) => exists(join(folder, fileOf(form)))));
  if (exported.includes(true)) {
    if (!force) await checkOwner(folder, run);
    return folder;
  }
  for (const name of DESCRIPTIONS)
    if (await exists(join(folder, name)))
      throw new Failure(
        'bad-out',
        `"${folder}" has a ${name} that is not from an export: choose another folder with --out.`,
      );
  return folder;
}

/** One that was cut off has no card, and is anybody's. */
async function checkOwner(folder: string, run: string): Promise<void> {
  const card = await readFile(join(folder, CARD), 'utf8').catch(() => undefined);
  const owner = card === undefined ? run : runOfCard(card);
  if (owner === run) return;
  throw new Failure(
    'other-export',
    `"${folder}" holds ${owner === undefined ? `models whose ${CARD} names no run` : `the export of run ${owner}`}: choose another folder, or say that they are to be replaced (--force).`,
  );
}

/**
 * Writes an export: the models given, labels.txt (a class a line), preprocessing.json and README.md. All are written
 * under a temporary name first; then those of an earlier export that say what its models mean go, and the new ones take
 * their places, the card last. So whatever stops this, a folder with a card in it is one whole export.
 * @returns absolute paths of the files written
 * @throws Failure `bad-out`, `other-export` unless `force`, `disk-full`
 */
export async function writeExport(
  out: string,
  models: EncodedModels,
  card: Card,
  parities: Parities = {},
  force = false,
): Promise<string[]> {
  const forms = FORMS.filter((form) => models[form]);
  const folder = await prepareFolder(out, forms, { run: card.run, force });
  const contents: [string, string | Uint8Array][] = [
    ...forms.map((form): [string, Uint8Array] => [fileOf(form), models[form]!]),
    ['labels.txt', card.classes.map((label) => `${oneLine(label)}\n`).join('')],
    ['preprocessing.json', `${JSON.stringify(card.preprocessing, null, 2)}\n`],
    [CARD, cardText(card, forms, parities)],
  ];
  await sweepTemporaries(folder);
  const staged = temporaryName(join(folder, 'export'));
  try {
    for (const [name, content] of contents) await writeFileAtomic(join(staged, name), content);
    for (const name of DESCRIPTIONS) await rm(join(folder, name), { force: true });
    for (const [name] of contents) await rename(join(staged, name), join(folder, name));
  } finally {
    await rm(staged, { recursive: true, force: true });
  }
  await syncFolder(folder);
  return contents.map(([name]) => join(folder, name));
}

/** A folder's name, and so a class's, may hold a line break; the models' metadata has it as it is. */
const oneLine = (label: string): string => label.replaceAll(/[\r\n]+/g, ' ');
