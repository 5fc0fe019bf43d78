import type { Preprocessing } from '../backbone/preprocessing.ts';
import type { Card, Form } from './card.ts';

/** How an image becomes `pixel_values`, in words and in Python. */
export function pixelsSection({ width, height, mean, std, fit, cropPct, interpolation }: Preprocessing): string {
  const [fullWidth, fullHeight] = [Math.floor(width / cropPct), Math.floor(height / cropPct)];
  const resize =
    fit === 'squash'
      ? `resize to ${width} x ${height} pixels whatever its shape`
      : `resize, keeping its shape, so that it just covers ${fullWidth} x ${fullHeight} pixels, and cut out the centre ${width} x ${height}`;
  const filter = `Image.Resampling.${interpolation.toUpperCase()}`;
  const resizing =
    fit === 'squash'
      ? `image = image.resize((${width}, ${height}), ${filter})`
      : `w, h = image.size
wide = ${fullWidth} * h > ${fullHeight} * w
size = (${fullWidth}, max(${fullHeight}, ${fullWidth} * h // w)) if wide else (max(${fullWidth}, ${fullHeight} * w // h), ${fullHeight})
left, top = round((size[0] - ${width}) / 2), round((size[1] - ${height}) / 2)
image = image.resize(size, ${filter}).crop((left, top, left + ${width}, top + ${height}))`;
  return `## Pixels for the frozen ViT

Take the image upright, in RGB, on white where it is transparent; ${resize} (${interpolation}, antialiased);
scale to [0, 1], subtract mean [${mean.join(', ')}] and divide by standard deviation [${std.join(', ')}], red first;
channels before rows. preprocessing.json says the same, and so does the metadata of each model.

\`\`\`python
import numpy as np
from PIL import Image, ImageOps
image = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")
${resizing}
pixels = (np.asarray(image, np.float32) / 255 - [${mean.join(', ')}]) / [${std.join(', ')}]
pixel_values = pixels.transpose(2, 0, 1)[None].astype(np.float32)
\`\`\``;
}

/** How to run the merged model, or the adaptor where it is alone, in Python and JavaScript. */
export function useSection(card: Card, forms: readonly Form[]): string {
  const { layout, maps, usesBase, preprocessing, backbone } = card;
  const merged = forms.includes('merged');
  const file = merged ? 'merged.onnx' : 'adaptor.onnx';
  const names = merged ? ['pixel_values'] : [...(maps.length > 0 ? ['features'] : []), ...(usesBase ? ['base'] : [])];
  const shapes: Readonly<Record<string, string>> = {
    pixel_values: `[${backbone.batch ?? 1}, 3, ${preprocessing.height}, ${preprocessing.width}]`,
    features: `[1, ${maps.length}, ${layout.tokens}, ${layout.width}]`,
    base: `[1, ${layout.width}]`,
  };
  const python = names.map((name) => `"${name}": ${name}`).join(', ');
  const javascript = names
    .map(
      (name) => `${name}: new ort.Tensor('${name === 'features' ? 'float16' : 'float32'}', ${name}, ${shapes[name]!})`,
    )
    .join(', ');
  return `## Use

\`\`\`python
import onnxruntime as ort
labels = open("labels.txt", encoding="utf-8").read().rstrip("\\n").split("\\n")
session = ort.InferenceSession("${file}")
logits = session.run(["logits"], {${python}})[0]  # ${names.map((name) => `${name} ${shapes[name]!}`).join(', ')}
print([labels[index] for index in logits.argmax(1)])
\`\`\`

\`\`\`js
import * as ort from 'onnxruntime-node'; // in a browser: onnxruntime-web
const session = await ort.InferenceSession.create('${file}');
const feeds = { ${javascript} };
const { logits } = await session.run(feeds);
console.log(logits.data.indexOf(Math.max(...logits.data))); // the line in labels.txt, from 0
\`\`\``;
}
