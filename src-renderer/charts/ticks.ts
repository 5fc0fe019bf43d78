/**
 * Round values between two bounds to mark an axis at, `about` of them: multiples of 1, 2 or 5 times a power of ten.
 * None where the bounds are equal or reversed.
 */
export function roundTicks(low: number, high: number, about = 4): number[] {
  if (!(high > low)) return [];
  const raw = (high - low) / about;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= raw * (1 - 1e-9)) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  // Divided where the step is below one: 3 / 10 is 0.3, and 3 * 0.1 is not.
  return Array.from({ length: last - first + 1 }, (_, index) =>
    step < 1 ? (first + index) / Math.round(1 / step) : (first + index) * step,
  );
}
