import { mapName } from '../backbone/surgery.ts';
import { roundingOf } from '../features/feature-set.ts';
import type { BaseMap } from '../methods/network.ts';
import type { Method } from '../training/settings.ts';

import type { Card, Form, Parities } from './card-facts.ts';
import { adaptorExamples, mergedExamples, pixelsSection } from './card-examples.ts';
import { toleranceInWords, toleranceOf } from './parity.ts';

const METHOD_NAMES: Readonly<Record<Method, string>> = {
  linear: 'linear probing',
  last: 'LAST (Low-rank Attention Side-Tuning, arXiv 2402.04009)',
  miet: 'MIET (Minimal Interaction Edge Tuning, arXiv 2406.17559)',
};

/** The card as key and JSON (or plain text) for a model's metadata. */
export function cardMetadata(card: Card, form: Form): Record<string, string> {
  return {
    labels: JSON.stringify(card.classes),
    preprocessing: JSON.stringify(card.preprocessing),
    provenance: JSON.stringify(provenanceOf(card)),
    method: card.settings.method,
    pool: card.settings.pool,
    settings: JSON.stringify(card.settings),
    precision: card.half ? 'float16 weights, float32 arithmetic' : 'float32',
    tolerance: JSON.stringify(toleranceOf(form, card.half)),
  };
}

function provenanceOf({ run, created, dataset, backbone, val, test }: Card): Record<string, unknown> {
  return {
    tool: 'Sidetune Studio',
    run,
    created,
    dataset,
    backbone: backbone.name,
    backboneSha256: backbone.sha256,
    val,
    test,
  };
}

/** The export's README.md. */
export function cardText(card: Card, forms: readonly Form[], parities: Parities): string {
  const sections = [
    summary(card),
    pixelsSection(card.preprocessing),
    ...(forms.includes('merged') ? [mergedSection(card), mergedExamples(card)] : []),
    ...(forms.includes('adaptor') ? [adaptorSection(card), adaptorExamples(card, forms.includes('merged'))] : []),
    agreement(card, forms, parities),
    origin(card, forms),
  ];
  return `${sections.join('\n\n')}\n`;
}

function summary(card: Card): string {
  const { dataset, classes, settings, backbone, parameters, headParameters, epoch, epochsDone, val, test } = card;
  const scores = [
    ['validation', val],
    ['test', test],
  ] as const;
  const early =
    epochsDone < settings.epochs
      ? `\nTraining stopped early, after epoch ${epochsDone} of the ${settings.epochs} asked for: more epochs may serve better.\n`
      : '';
  const vit = `a frozen Vision Transformer, ${inline(backbone.name)}`;
  const [beside, head] = [parameters, headParameters].map((count) => count.toLocaleString('en-US'));
  const made =
    settings.method === 'linear'
      ? `on the last features of ${vit}: nothing was trained but the\n${head} parameters of the head`
      : `on the intermediate features of ${vit}, with ${beside} trained parameters beside it and\n${head} in the head`;
  const given = Object.entries(settings).filter(([name, value]) => value !== null && name !== 'method');
  return `# ${inline(dataset)}: image classifier, ${settings.method}

Classifies one image into one of ${classes.length} classes (labels.txt, in the order of the logits). It was made by ${METHOD_NAMES[settings.method]}
${made}.

| split | top-1 | mean per-class recall |
|---|---|---|
${scores.map(([name, score]) => `| ${name} | ${percent(score?.top1)} | ${percent(score?.macro)} |`).join('\n')}
${epoch === null ? '' : `\nParameters and figures are those of epoch ${epoch}, ${val ? 'the best on validation' : 'the last'} of the ${settings.epochs} asked for.\n`}${early}
Settings: ${given.map(([name, value]) => `${name} ${String(value)}`).join(', ')}.`;
}

function mergedSection({ classes, backbone: { batch }, preprocessing: { width, height } }: Card): string {
  const images = batch ?? 'batch';
  return `## merged.onnx: the whole classifier

| | name | type | shape |
|---|---|---|---|
| input | \`pixel_values\` | float32 | [${images}, 3, ${height}, ${width}] |
| output | \`logits\` | float32 | [${images}, ${classes.length}] |`;
}

function adaptorSection({
  classes,
  layout: { tokens, width, prefix },
  maps,
  usesBase,
  scales,
  settings,
}: Card): string {
  const rows: string[] = [];
  if (maps.length > 0) rows.push(`| input | \`features\` | float16 | [batch, ${maps.length}, ${tokens}, ${width}] |`);
  if (usesBase) rows.push(`| input | \`base\` | float32 | [batch, ${width}] |`);
  rows.push(`| output | \`logits\` | float32 | [batch, ${classes.length}] |`);
  const notes: string[] = [];
  if (maps.length > 0)
    notes.push(
      `\`features\` holds sums of the frozen ViT's block outputs (z_0 is the embedding), ${mapMeaning(maps)}, each divided by its
scale (${scales.join(', ')}) and rounded to half precision${roundingOf(settings.cache) === 'int8' ? ', each row to 255 multiples of a step before' : ''}; the model multiplies by the scales itself.`,
    );
  if (usesBase)
    notes.push(
      settings.pool === 'cls'
        ? '`base` is the CLS row of the last block, before the final LayerNorm.'
        : `\`base\` is the mean of the patch tokens ${prefix > 0 ? `(all but the first ${prefix}) ` : ''}of the last block, before the final LayerNorm.`,
    );
  return `## adaptor.onnx: ${settings.method === 'linear' ? 'the head' : 'the side network'} alone

| | name | type | shape |
|---|---|---|---|
${rows.join('\n')}

${notes.join('\n')}`;
}

function agreement({ half }: Card, forms: readonly Form[], parities: Parities): string {
  const rows = forms.flatMap((form) => {
    const parity = parities[form];
    if (!parity) return [];
    const { images, maxAbsLogit, bound, top1Changes } = parity;
    return [
      `| ${form}.onnx | ${images} | ${maxAbsLogit.toPrecision(2)} | ${bound.toPrecision(2)} (${toleranceInWords(toleranceOf(form, half))}) | ${top1Changes} |`,
    ];
  });
  const weights = half
    ? '\n\nMatrices are kept as float16 and cast to float32 as the model is opened: the files are half as large, the arithmetic is that of float32.'
    : '';
  return `## Agreement with the predictions of Sidetune Studio

| model | images | largest difference of a logit | allowed | top-1 changed |
|---|---|---|---|---|
${rows.join('\n')}${weights}`;
}

function mapMeaning(maps: readonly BaseMap[]): string {
  const [first] = maps;
  const names = maps.map(mapName).join(', ');
  if (first?.kind === 'S') return `S_${first.index} = z_0 + z_1 + ... + z_${first.index}`;
  const group = first?.group ?? 1;
  return group === 1
    ? `P_i = z_0 + z_1 + ... + z_i for i = 1 to ${maps.length} (${names})`
    : `P_i = z_0 + z_${group} + z_${2 * group} + ... + z_(${group} i) for i = 1 to ${maps.length} (${names})`;
}

function origin({ run, created, dataset, backbone }: Card, forms: readonly Form[]): string {
  const inside = forms.includes('merged') ? ', which holds for merged.onnx too since its weights are inside' : '';
  return `## Origin and licence

Run ${inline(run)} of ${created}, dataset ${inline(dataset)}, backbone ${inline(backbone.name)} (sha256 ${backbone.sha256}).
Made with Sidetune Studio. The backbone keeps its own licence${inside}; the dataset's licence may bear on the trained
parameters.`;
}

/** The run that a card is of; undefined for another text. */
export function runOfCard(text: string): string | undefined {
  return /^Run (.+) of \d{4}-\d\d-/m.exec(text)?.[1]?.replaceAll(/\\(.)/g, '$1');
}

const percent = (fraction: number | undefined): string =>
  fraction === undefined ? 'not measured' : `${(100 * fraction).toFixed(2)} %`;

/** A name on one line, without what Markdown would read as markup. */
function inline(text: string): string {
  return text.replaceAll(/\s+/g, ' ').replaceAll(/([\\`*_[\]<>|])/g, '\\$1');
}
