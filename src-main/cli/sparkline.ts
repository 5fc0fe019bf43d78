const BARS = '▁▂▃▄▅▆▇█';

/**
 * A row of bars from the lowest value to the highest, at most `width` of them: longer series are shown by the means of
 * equal stretches. A value that is not finite is a gap.
 */
export function sparkline(values: readonly number[], width = 60): string {
  const columns = Math.min(width, values.length);
  const means = Array.from({ length: columns }, (_, column) => {
    const from = Math.floor((column * values.length) / columns);
    const to = Math.floor(((column + 1) * values.length) / columns);
    return values.slice(from, to).reduce((sum, value) => sum + value, 0) / (to - from);
  });
  const finite = means.filter(Number.isFinite);
  const lowest = Math.min(...finite);
  const range = Math.max(...finite) - lowest || 1;
  return means
    .map((mean) => (Number.isFinite(mean) ? BARS[Math.round(((mean - lowest) / range) * (BARS.length - 1))]! : ' '))
    .join('');
}
