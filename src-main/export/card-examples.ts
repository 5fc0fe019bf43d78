/** The programs in an export's card. Each is run by a test as it is printed. */
import type { Preprocessing } from '../backbone/preprocessing.ts';
import { BASE_CLS, BASE_MEAN, mapName } from '../backbone/surgery.ts';
import type { Card } from './card-facts.ts';

/** How an image becomes `pixel_values`, in words. */
export function pixelsSection(preprocessing: Preprocessing): string {
  const { width, height, mean, std, fit, interpolation } = preprocessing;
  const cover = coveredSize(preprocessing);
  const resize =
    fit === 'squash'
      ? `resize to ${width} x ${height} pixels whatever its shape`
      : `resize, keeping its shape, so that it just covers ${cover.width} x ${cover.height} pixels, and cut out the centre ${width} x ${height}`;
  return `## Pixels for the frozen ViT

Take the image upright, in RGB, on white where it is transparent; ${resize} (${interpolation}, antialiased);
scale to [0, 1], subtract mean [${mean.join(', ')}] and divide by standard deviation [${std.join(', ')}], red first;
channels before rows. preprocessing.json says the same, and so does the metadata of each model.`;
}

/** From a photograph to its label by the merged model. A model of a fixed batch is given the same picture throughout. */
export function mergedExamples({ preprocessing, backbone, classes }: Card): string {
  const { width, height, mean, std, fit, interpolation } = preprocessing;
  const batch = backbone.batch ?? 1;
  const filter = `Image.Resampling.${interpolation.toUpperCase()}`;
  // Else large JPEGs are halved by another filter first: 1.2 grey levels off on average, at 64 x 64, where 0.4 is due.
  const fill = `{ fit: 'fill', kernel: '${interpolation === 'bicubic' ? 'cubic' : 'linear'}', fastShrinkOnLoad: false }`;
  const cover = coveredSize(preprocessing);
  const python =
    fit === 'squash'
      ? `image = image.resize((${width}, ${height}), ${filter})`
      : `w, h = image.size
wide = ${cover.width} * h > ${cover.height} * w
size = (${cover.width}, max(${cover.height}, ${cover.width} * h // w)) if wide else (max(${cover.width}, ${cover.height} * w // h), ${cover.height})
left, top = round((size[0] - ${width}) / 2), round((size[1] - ${height}) / 2)
image = image.resize(size, ${filter}).crop((left, top, left + ${width}, top + ${height}))`;
  const javascript =
    fit === 'squash'
      ? `const rgb = await image.resize(${width}, ${height}, ${fill}).removeAlpha().raw().toBuffer();`
      : `const { width: w, height: h } = (await image.metadata()).autoOrient;
const size = ${cover.width} * h > ${cover.height} * w
  ? [${cover.width}, Math.max(${cover.height}, Math.floor(${cover.width} * h / w))]
  : [Math.max(${cover.width}, Math.floor(${cover.height} * w / h)), ${cover.height}];
const even = (x) => x % 1 === 0.5 ? 2 * Math.round(x / 2) : Math.round(x); // as Python rounds
const centre = { left: even((size[0] - ${width}) / 2), top: even((size[1] - ${height}) / 2), width: ${width}, height: ${height} };
const rgb = await image.resize(...size, ${fill}).extract(centre).removeAlpha().raw().toBuffer();`;
  return `\`\`\`python
import numpy as np, onnxruntime as ort
from PIL import Image, ImageOps
image = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGBA")
image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
${python}
pixels = (np.asarray(image) / 255 - [${mean.join(', ')}]) / [${std.join(', ')}]
pixel_values = np.float32([pixels.transpose(2, 0, 1)]${batch > 1 ? ` * ${batch}` : ''})
logits = ort.InferenceSession("merged.onnx").run(["logits"], {"pixel_values": pixel_values})[0]
${PRINT_LABEL_IN_PYTHON}
\`\`\`

\`\`\`js
import { readFileSync } from 'node:fs';
import * as ort from 'onnxruntime-node';
import sharp from 'sharp';
const image = sharp('photo.jpg').autoOrient().flatten({ background: 'white' });
${javascript}
const [mean, std, area] = [[${mean.join(', ')}], [${std.join(', ')}], ${width} * ${height}];
const pixels = Float32Array.from({ length: ${batch > 1 ? `${batch} * ` : ''}3 * area }, (_, i) => {
  const channel = Math.floor(i / area)${batch > 1 ? ' % 3' : ''};
  return (rgb[3 * (i % area) + channel] / 255 - mean[channel]) / std[channel];
});
const session = await ort.InferenceSession.create('merged.onnx');
const { logits } = await session.run({ pixel_values: new ort.Tensor('float32', pixels, [${batch}, 3, ${height}, ${width}]) });
${printLabelInJavaScript(classes)}
\`\`\`

${PIXELS_MEASURED}`;
}

/** From features to a label by the adaptor; where `merged` lies beside it, also where features come from. */
export function adaptorExamples(card: Card, merged: boolean): string {
  const { layout, maps, usesBase, classes } = card;
  const inputs: { name: string; python: string; javascript: string }[] = [];
  if (maps.length > 0) {
    const shape = [1, maps.length, layout.tokens, layout.width];
    inputs.push({
      name: 'features',
      python: `np.zeros([${shape.join(', ')}], np.float16)`,
      javascript: `new ort.Tensor('float16', new Uint16Array(${shape.join(' * ')}), [${shape.join(', ')}])`,
    });
  }
  if (usesBase)
    inputs.push({
      name: 'base',
      python: `np.zeros([1, ${layout.width}], np.float32)`,
      javascript: `new ort.Tensor('float32', new Float32Array(${layout.width}), [1, ${layout.width}])`,
    });
  const names = inputs.map(({ name }) => name);
  const hidden =
    maps.length > 0
      ? `globalThis.Float16Array = undefined; // before the first tensor: onnxruntime-node 1.30 takes that of Node 24 for empty\n`
      : '';
  return `The zeros stand in place of the frozen ViT's features, which your server gives.

\`\`\`python
import numpy as np, onnxruntime as ort
${inputs.map(({ name, python }) => `${name} = ${python}`).join('\n')}
logits = ort.InferenceSession("adaptor.onnx").run(["logits"], {${names.map((name) => `"${name}": ${name}`).join(', ')}})[0]
${PRINT_LABEL_IN_PYTHON}
\`\`\`

\`\`\`js
import { readFileSync } from 'node:fs';
import * as ort from 'onnxruntime-node';
${hidden}${inputs.map(({ name, javascript }) => `const ${name} = ${javascript};`).join('\n')}
const session = await ort.InferenceSession.create('adaptor.onnx');
const { logits } = await session.run({ ${names.join(', ')} });
${printLabelInJavaScript(classes)}
\`\`\`${merged ? `\n\n${cutExample(card)}` : ''}`;
}

/** The frozen ViT's half cut out of the merged model, whose values keep the names that the taps gave them. */
function cutExample({ maps, usesBase, settings }: Card): string {
  const names = maps.map(mapName);
  if (usesBase) names.push(settings.pool === 'cls' ? BASE_CLS : BASE_MEAN);
  const run = `ort.InferenceSession("vit.onnx").run(names, {"pixel_values": pixel_values})`;
  const alone = usesBase ? `base = ${run}[0]` : `maps = ${run}`;
  const results = maps.length > 0 && usesBase ? `*maps, base = ${run}` : alone;
  return `The frozen ViT's half can be cut out of merged.onnx (with \`pip install onnx\`), and gives what the zeros stand for from the \`pixel_values\` above.

\`\`\`python
from onnx.utils import extract_model
names = [${names.map((name) => `"${name}"`).join(', ')}]
extract_model("merged.onnx", "vit.onnx", ["pixel_values"], names)
${results}${maps.length > 0 ? '\nfeatures = np.stack(maps, 1)' : ''}
\`\`\``;
}

const PRINT_LABEL_IN_PYTHON = 'print(open("labels.txt", encoding="utf-8").read().split("\\n")[logits[0].argmax()])';

function printLabelInJavaScript(classes: readonly string[]): string {
  return `const scores = logits.data.slice(0, ${classes.length});
console.log(readFileSync('labels.txt', 'utf8').split('\\n')[scores.indexOf(Math.max(...scores))]);`;
}

/** ViT-Ti at 224 x 224 under LAST on three sets, bicubic; 100 test pictures of each, 324 of all for Pillow (squashed). */
const PIXELS_MEASURED = `On 324 JPEGs, squashed to 224 x 224, Pillow's pixels were those of Sidetune Studio to the last bit. sharp's are not: of 300
JPEGs, each squashed and cropped, with logits of up to 11.5, the 165 that were shrunk all kept their top-1, no logit more
than 0.16 off; of the 435 that were enlarged, which sharp does a quarter of a pixel aside, 418 kept it, and logits were
up to 1.5 off.`;

/** What the resized picture covers before its centre is cut out. */
function coveredSize({ width, height, cropPct }: Preprocessing): { width: number; height: number } {
  return { width: Math.floor(width / cropPct), height: Math.floor(height / cropPct) };
}
