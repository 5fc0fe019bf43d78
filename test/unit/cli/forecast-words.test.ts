import { expect, it } from 'vitest';
import { describeForecast } from '../../../src-main/cli/forecast-words.ts';
import type { Forecast } from '../../../src-main/studio/forecast.ts';

const forecast: Forecast = {
  images: { train: 800, val: 200, test: 1000 },
  epochs: 30,
  features: { bytesPerImage: 928_376, totalBytes: 1_856_752_000, cachedBytes: 0, copiedBytes: 0, freeBytes: 42e9 },
  memory: { trainerBytes: 350e6, vitBytes: 300e6, availableBytes: 6e9 },
  seconds: { extract: 62, train: 125, total: 190 },
  warnings: [],
};

it('says time, disk and memory', () => {
  expect(describeForecast(forecast)).toEqual([
    'will take about 1 min 2 s extracting, 2 min 5 s training; features 928 kB an image, 1.9 GB in all, 42.0 GB free',
    'peak memory: trainer 350 MB, ViT 300 MB; 6.0 GB free',
  ]);
});

it('leaves out what there is nothing to say of, and ends with what there is too little of', () => {
  const none: Forecast = {
    ...forecast,
    features: { bytesPerImage: 0, totalBytes: 0, cachedBytes: 0, copiedBytes: 0, freeBytes: null },
    memory: { trainerBytes: null, vitBytes: null, availableBytes: 6e9 },
    seconds: null,
    warnings: ['There is too little.'],
  };
  expect(describeForecast(none)).toEqual([
    'will take less than a minute or so; features are not kept',
    'There is too little.',
  ]);
  const cached = { ...forecast, features: { ...forecast.features, cachedBytes: 1_856_752_000 } };
  const [line] = describeForecast({ ...cached, seconds: { extract: 0, train: 125, total: 126 } });
  expect(line).toContain('about 2 min 5 s training; features 928 kB an image, 1.9 GB in all (1.9 GB of it there)');
  const copied = { ...forecast, features: { ...forecast.features, cachedBytes: 9e8, copiedBytes: 5e8 } };
  expect(describeForecast(copied)[0]).toContain(
    '1.9 GB in all (900 MB of it there, 500 MB copied from other lists of these images), 42.0 GB free',
  );
});
