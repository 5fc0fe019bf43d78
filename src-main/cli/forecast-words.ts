/** A forecast in a few lines. */
import type { Forecast } from '../studio/forecast.ts';
import { byteSize, duration } from './format.ts';

/** What `train` says before it begins: time, disk, memory, and what there is too little of. */
export function describeForecast({ seconds, features, memory, warnings }: Forecast): string[] {
  const { bytesPerImage, totalBytes, cachedBytes, copiedBytes, freeBytes } = features;
  const had = [
    ...(cachedBytes > 0 ? [`${byteSize(cachedBytes)} of it there`] : []),
    ...(copiedBytes > 0 ? [`${byteSize(copiedBytes)} copied from other lists of these images`] : []),
  ];
  const time =
    seconds === null
      ? 'will take less than a minute or so'
      : `will take about ${[seconds.extract > 0 && `${duration(seconds.extract)} extracting`, `${duration(seconds.train)} training`].filter(Boolean).join(', ')}`;
  const disk =
    bytesPerImage === 0
      ? 'features are not kept'
      : [
          `features ${byteSize(bytesPerImage)} an image`,
          `${byteSize(totalBytes)} in all${had.length > 0 ? ` (${had.join(', ')})` : ''}`,
          ...(freeBytes === null ? [] : [`${byteSize(freeBytes)} free`]),
        ].join(', ');
  const lines = [`${time}; ${disk}`];
  if (memory.trainerBytes !== null) {
    const vit = memory.vitBytes === null ? '' : `, ViT ${byteSize(memory.vitBytes)}`;
    lines.push(`peak memory: trainer ${byteSize(memory.trainerBytes)}${vit}; ${byteSize(memory.availableBytes)} free`);
  }
  return [...lines, ...warnings];
}
